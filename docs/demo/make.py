"""Writes the demonstration documents: invented organisations, real layouts (text, tables, charts, a scan).

Run `python docs/demo/make.py` from the root of the repository; the same input gives the same pages.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pymupdf
from matplotlib import pyplot as plt
from PIL import Image, ImageFilter

HERE = Path(__file__).parent
A4 = pymupdf.paper_rect("a4")
SLIDE = pymupdf.Rect(0, 0, 960, 540)
CSS = """
body {font-family: serif; font-size: 10.5pt; line-height: 1.35}
h1 {font-family: sans-serif; font-size: 20pt; color: #17415f}
h2 {font-family: sans-serif; font-size: 13pt; color: #17415f}
table {border-collapse: collapse; width: 100%; font-family: sans-serif; font-size: 9pt}
td, th {border: 0.5pt solid #8899a6; padding: 3pt 5pt} th {background-color: #e4ecf2; text-align: left}
.slide {font-family: sans-serif; font-size: 20pt} .slide h1 {font-size: 32pt}
.small {font-size: 8pt; color: #555555} .mono {font-family: monospace; font-size: 10pt}
"""


@dataclass(frozen=True)
class Leaf:
    """One page: HTML in a box, and a chart below or beside it."""

    html: str
    chart: bytes | None = None
    rect: pymupdf.Rect = A4


def chart(kind: str, labels: list[str], series: dict[str, list[float]], title: str, unit: str) -> bytes:
    """A bar or line chart as PDF."""
    mpl.rcParams.update({"pdf.fonttype": 42, "font.size": 9, "svg.hashsalt": "recto"})
    figure, axes = plt.subplots(figsize=(6.2, 3.0))
    spots = np.arange(len(labels))
    for at, (name, values) in enumerate(series.items()):
        if kind == "bar":
            width = 0.8 / len(series)
            bars = axes.bar(spots + (at - (len(series) - 1) / 2) * width, values, width, label=name)
            axes.bar_label(bars, fontsize=7)
        else:
            axes.plot(spots, values, marker="o", label=name)
    axes.set_xticks(spots, labels)
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.tight_layout()
    figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    plt.close(figure)
    return buffer.getvalue()


def table(header: str, *rows: str) -> str:
    """An HTML table from lines with bars between the cells."""
    cells = "".join(f"<th>{cell.strip()}</th>" for cell in header.split("|"))
    body = "".join(
        "<tr>" + "".join(f"<td>{c.strip()}</td>" for c in row.split("|")) + "</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"


def write(name: str, title: str, *leaves: Leaf) -> None:
    """Write one document."""
    document = pymupdf.open()
    for number, leaf in enumerate(leaves, start=1):
        page = document.new_page(width=leaf.rect.width, height=leaf.rect.height)
        margin = 54
        box = pymupdf.Rect(margin, margin, leaf.rect.width - margin, leaf.rect.height - margin)
        if leaf.chart:
            share = 0.42 if leaf.rect == A4 else 0.5
            below = pymupdf.Rect(box.x0, box.y1 - box.height * share, box.x1, box.y1)
            box = pymupdf.Rect(box.x0, box.y0, box.x1, below.y0 - 8)
            page.show_pdf_page(below, pymupdf.open("pdf", leaf.chart))
        spare, _ = page.insert_htmlbox(box, leaf.html, css=CSS)
        if spare < 0:
            raise ValueError(f"{name}, page {number}: the text does not fit")
        foot = pymupdf.Point(margin, leaf.rect.height - 24)
        page.insert_text(foot, f"{title}  ·  {number}", fontsize=8, color=(0.4, 0.4, 0.4))
    document.set_metadata({"title": title, "creationDate": "", "modDate": ""})
    document.subset_fonts()
    document.save(HERE / f"{name}.pdf", garbage=4, deflate=True, no_new_id=True)


def scanned(name: str, title: str, *leaves: Leaf) -> None:
    """The same, then photographed: grey, a little askew and noisy, without any text layer."""
    write(name, title, *leaves)
    source = pymupdf.open(HERE / f"{name}.pdf")
    random = np.random.default_rng(7)
    copy = pymupdf.open()
    for page in source:
        pixels = page.get_pixmap(dpi=130, colorspace=pymupdf.csGRAY)
        image = Image.frombytes("L", (pixels.width, pixels.height), pixels.samples)
        image = image.rotate(random.uniform(-0.7, 0.7), fillcolor=250).filter(ImageFilter.GaussianBlur(0.5))
        noisy = np.asarray(image, float) * 0.95 + 8 + random.normal(0, 4, (image.height, image.width))
        buffer = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype("uint8")).save(buffer, "JPEG", quality=60)
        copy.new_page(width=A4.width, height=A4.height).insert_image(A4, stream=buffer.getvalue())
    source.close()
    copy.set_metadata({"title": title, "creationDate": "", "modDate": ""})
    copy.save(HERE / f"{name}.pdf", garbage=4, deflate=True, no_new_id=True)


def wind_report() -> None:
    """An annual report with tables and charts."""
    names = ["T1", "T2", "T3", "T4", "T5", "T6"]
    lost = chart("bar", names, {"hours": [112, 96, 421, 88, 134, 79]}, "Hours lost to repairs, 2024", "hours")
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    energy = chart(
        "line", months,
        {"2023": [4.1, 3.8, 3.9, 3.1, 2.6, 2.2, 2.0, 2.1, 2.7, 3.4, 3.9, 4.3],
         "2024": [4.4, 4.2, 3.7, 3.3, 2.4, 2.3, 1.9, 2.2, 3.0, 3.6, 4.2, 4.6]},
        "Electricity fed into the grid", "GWh",
    )  # fmt: skip
    write(
        "skerry_wind_annual_report_2024", "Skerry Point Wind Cooperative: Annual Report 2024",
        Leaf(
            "<h1>Skerry Point Wind Cooperative</h1><h2>Annual Report 2024</h2><p>Skerry Point is owned by 1,846 "
            "members in three coastal parishes. Six turbines of 2.3 MW stand on the ridge above the old signal "
            "station. This report tells our members what the wind, the machines and the market brought in the "
            "year that ended on 31 December 2024.</p><h2>The year in short</h2>"
            + table("Measure | 2024 | 2023", "Electricity fed into the grid | 39.8 GWh | 38.1 GWh",
                    "Availability of the turbines | 94.6 % | 96.9 %", "Revenue | 3,512,000 | 3,874,000",
                    "Surplus after tax | 418,000 | 733,000", "Dividend per share | 2.10 | 3.60")
            + "<p>Output rose by 4.5 per cent while the average price fell from 101.7 to 88.2 per MWh. The long "
            "repair of turbine T3 cost us 309 hours more than an ordinary year and explains most of the fall in "
            "availability.</p><p>The board proposes a dividend of 2.10 a share and puts 150,000 aside for the "
            "exchange of blades that is planned for 2027.</p>"
        ),
        Leaf(
            "<h2>1. Wind and output</h2><p>The winter months carried the year: January, February and December "
            "together brought a third of all electricity. July was the weakest month since the farm was built, "
            "with 1.9 GWh at a mean wind speed of 4.8 m/s at hub height. Curtailment ordered by the grid operator "
            "took 212 MWh, nearly all of it in two windy weekends in March.</p>", energy,
        ),
        Leaf(
            "<h2>2. The machines</h2><p>Turbine T3 stood still from 9 February to 26 February, when a bearing of "
            "its gearbox had to be exchanged with a crane that could only drive up once the frost had left the "
            "road. The other five machines lost between 79 and 134 hours each, which is what the maintenance "
            "contract foresees. Ice detection was retrofitted on T1 and T5.</p>", lost,
        ),
        Leaf(
            "<h2>3. Accounts</h2>"
            + table("Income and expenditure | 2024 | 2023", "Sales of electricity | 3,512,000 | 3,874,000",
                    "Guarantees of origin | 61,000 | 48,000", "Maintenance contract | (812,000) | (790,000)",
                    "Crane and gearbox bearing, T3 | (264,000) | -", "Land lease | (201,000) | (196,000)",
                    "Insurance | (143,000) | (119,000)", "Depreciation | (1,290,000) | (1,290,000)",
                    "Interest | (305,000) | (366,000)", "Tax | (140,000) | (428,000)",
                    "Surplus | 418,000 | 733,000")
            + "<p>The bank loan stands at 6.4 million and is repaid in full in 2031. The insurer paid 96,000 of "
            "the cost of the bearing; the sum reached us in January 2025 and is not in these accounts.</p>"
            "<h2>4. Birds and neighbours</h2><p>Between March and June the ridge is a resting place for dotterel. "
            "Our ornithologist counted 64 birds on 11 May. The shadow switch stopped turbines for 38 hours in "
            "favour of four houses in Nether Skerry; nobody complained about noise.</p>"
        ),
    )  # fmt: skip


def espresso_manual() -> None:
    """A manual with numbered steps and a table of faults."""
    write(
        "marzo_m2_espresso_manual", "Marzo M2 Espresso Machine: Owner's Manual",
        Leaf(
            "<h1>Marzo M2</h1><h2>Owner's manual, model M2-230</h2><p>Read this booklet before the first cup. The "
            "M2 heats two boilers: 0.35 litres for coffee, 1.1 litres for steam. It draws 1,750 W; use a socket "
            "of its own.</p><h2>In the box</h2>"
            + table("Part | Number | Code", "Portafilter, 58 mm | 1 | MZ-5801", "Basket, single and double | 2 | "
                    "MZ-5812", "Tamper | 1 | MZ-5830", "Water hardness strips | 3 | MZ-0901",
                    "Blind basket for back-flushing | 1 | MZ-5899")
            + "<h2>Before the first use</h2><p>Fill the tank with 2 litres of fresh water, switch on, and let half "
            "a litre run through the group and the steam wand. The lamp is green after 9 minutes.</p>"
        ),
        Leaf(
            "<h2>Making espresso</h2><p>1. Grind 18 g for the double basket. 2. Tamp level with about 15 kg. 3. "
            "Lock the portafilter and start at once. 36 g of coffee should run in 27 to 30 seconds. Faster: grind "
            "finer. Slower: grind coarser.</p><h2>Temperature</h2><p>Hold both buttons for three seconds; each "
            "press then changes the brew temperature by 0.5 °C between 88 and 96 °C. The works setting is 93 "
            "°C.</p><h2>Steaming milk</h2><p>Open the valve for two seconds to clear the water, dip the tip just "
            "below the surface and stop at 62 °C. Wipe the wand while it is warm.</p>"
        ),
        Leaf(
            "<h2>Descaling</h2><p>Descale when the drop lamp blinks, or every 200 litres with water harder than "
            "12 °dH.</p><p>1. Switch the machine off and let it cool for 30 minutes.<br/>2. Dissolve 50 g of "
            "citric acid (or one sachet MZ-0950) in 1 litre of warm water and fill the tank.<br/>3. Hold the steam "
            "button while you switch on; the lamp turns orange.<br/>4. Let 200 ml run through the group and 100 ml "
            "through the wand, then wait 20 minutes.<br/>5. Repeat until the tank is empty.<br/>6. Rinse with two "
            "full tanks of fresh water. Never use vinegar: it attacks the boiler's seal.</p><h2>Faults</h2>"
            + table("What you see | Why | What to do", "E1, lamp red | tank empty or not pushed in | fill and push "
                    "in", "E3, red blinking | boiler probe | switch off, call service", "No pressure, pump loud | "
                    "air in the pump | open the wand for 10 s", "Water below the group | worn gasket MZ-5840 | "
                    "change it, every 12 months", "Sour coffee | too cold or too fast | +1 °C, grind finer")
        ),
    )  # fmt: skip


def bicycle_slides() -> None:
    """Slides with large type and charts."""
    share = chart(
        "bar", ["2019", "2021", "2023", "2025"],
        {"bicycle": [11, 14, 19, 24], "bus and tram": [27, 22, 26, 27], "car": [45, 47, 40, 34]},
        "Share of trips within the city (%)", "per cent",
    )  # fmt: skip
    crashes = chart(
        "line", ["2019", "2020", "2021", "2022", "2023", "2024", "2025"],
        {"per million km": [3.9, 3.7, 3.4, 2.9, 2.2, 2.0, 1.8]}, "Injury crashes involving bicycles",
        "per million km",
    )  # fmt: skip
    write(
        "alder_city_cycling_review", "City of Alder: Cycling review 2025",
        Leaf('<div class="slide"><h1>Six years of protected lanes</h1><p>City of Alder, cycling review 2025</p>'
             "<p>Presented to the transport committee, 14 October 2025</p></div>", None, SLIDE),
        Leaf('<div class="slide"><h1>One trip in four is by bicycle</h1><p>11 % before the first lane opened, '
             "24 % now. Cars fell by eleven points.</p></div>", share, SLIDE),
        Leaf('<div class="slide"><h1>Safer by half</h1><p>Injury crashes fell from 3.9 to 1.8 per million '
             "kilometres ridden.</p></div>", crashes, SLIDE),
        Leaf('<div class="slide"><h1>What it cost</h1>'
             + table("Corridor | Length | Cost per km | Opened", "Mill Street | 3.2 km | 0.41 million | May 2020",
                     "Harbour Ring | 7.8 km | 0.66 million | June 2022", "University Axis | 5.1 km | 0.58 million "
                     "| April 2023", "South Bridge | 0.6 km | 4.90 million | September 2024")
             + "<p>Next: Station Square, decision due in March 2026.</p></div>", None, SLIDE),
    )  # fmt: skip


def bridge_inspection() -> None:
    """A scanned report: found by sight alone."""
    scanned(
        "kettle_bridge_inspection_scan",
        "Kettle Bridge: inspection report",
        Leaf(
            '<div class="mono"><p><b>COUNTY ENGINEER - INSPECTION REPORT</b></p><p>Structure: Kettle Bridge, '
            "road 114, span 38 m, riveted steel, built 1931<br/>Date: 3 October 1978. Inspector: H. Lindqvist</p>"
            "<p>1. North abutment: masonry sound, two joints to be repointed.</p><p>2. North pier: four anchor "
            "bolts found loose, one missing. To be replaced before the winter.</p><p>3. Deck: timber planks worn "
            "to 42 mm on the wheel tracks. Replace planks 7 to 19.</p><p>4. Lower chord, panel L4: corrosion, "
            "section loss about 15 per cent. Clean, paint, measure again within six months.</p><p>5. Bearings: "
            "expansion rollers seized by rust. Free and grease.</p><p>Load limit reduced from 16 to 9 tonnes until "
            "items 2 and 4 are done.</p></div>"
        ),
    )


def allotment_handbook() -> None:
    """Two pages of plain text in another subject, so that not every question is easy."""
    write(
        "quarry_lane_allotments_handbook", "Quarry Lane Allotments: Handbook",
        Leaf(
            "<h1>Quarry Lane Allotments</h1><p>A plot measures 10 rods, about 250 square metres. The rent of 48 is "
            "due on 25 March. Water is off from November to the end of March so that the pipes do not burst.</p>"
            "<h2>What to sow, and when</h2>"
            + table("Crop | Sow | Plant out | Harvest", "Broad beans | November, February | - | June", "Leeks | "
                    "March | June | November to March", "Tomatoes | March, indoors | late May | August",
                    "Kale | April | June | December", "Garlic | - | October | July", "Parsnip | April | - | after "
                    "the first frost")
            + "<h2>Bonfires</h2><p>Only in November, only dry wood, never when the wind blows towards the school."
            "</p>"
        ),
        Leaf(
            "<h2>Compost</h2><p>Build the heap in layers: a hand's breadth of green, the same of brown. Turn it "
            "after six weeks. A heap that smells of ammonia wants straw or torn cardboard; one that stays cold "
            "wants grass or nettles. No cooked food: it brings rats.</p><h2>Slugs</h2><p>Water in the morning. "
            "Boards laid between the rows collect slugs overnight; lift them at breakfast. Nematodes work from 5 "
            "°C soil temperature and last six weeks. Metaldehyde pellets are forbidden here.</p><h2>The shop</h2>"
            "<p>Open on Sundays from 10 to 12, February to October. Canes, fleece, seed potatoes, bone meal.</p>"
        ),
    )  # fmt: skip


if __name__ == "__main__":
    wind_report()
    espresso_manual()
    bicycle_slides()
    bridge_inspection()
    allotment_handbook()
