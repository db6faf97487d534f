"""Batch evaluation: ViDoRe and one's own questions, through the pipeline that is served."""
