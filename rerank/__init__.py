"""Cross-encoders over query and page, the depth budget, calibration and the third stage."""
