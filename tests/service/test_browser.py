"""The web page in Chromium: upload, progress, search, evidence, viewer, keyboard, and what axe finds."""

from collections.abc import Iterator
from pathlib import Path
from re import compile as pattern

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from library.library import Library
from tests.service.samples import WITHOUT_MODELS, LatePages, pdf, running

pytestmark = [pytest.mark.browser, pytest.mark.service, pytest.mark.slow]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-extensions"]
SERIOUS = {"serious", "critical"}
PATIENCE_MS = 120_000  # a slow machine is no failure
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service on a port of its own, with one collection of four pages."""
    folder = tmp_path_factory.mktemp("site")
    with Library.open(folder / "library", WITHOUT_MODELS) as library:
        library._models._reranker = LatePages()
        path = folder / "colours.pdf"
        pages = (
            ("red", "alpha rose"),
            ("green", "beta grass"),
            ("blue", "gamma sea"),
            ("yellow", "delta sun"),
        )
        path.write_bytes(pdf(*pages))
        library.index([path], collection="demo")
        with running(library) as url:
            yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path="/usr/bin/chromium", args=FLAGS, timeout=PATIENCE_MS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which any script error, refused resource or broken policy fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    assert [text for text in wrong if "status of 422" not in text] == []  # a refused upload is part of a test


def test_a_person_uploads_watches_and_finds_the_page(page: Page, site: str, tmp_path: Path) -> None:
    path = tmp_path / "garden plan.pdf"
    path.write_bytes(pdf(*[("green", f"hedge {n}") for n in range(30)]))
    page.goto(f"{site}/collections/garden")
    page.set_input_files("#files", str(path))
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(pattern(r"/jobs/"))
    expect(page.locator("[data-state]")).to_have_text("done", timeout=300_000)
    expect(page.locator("[data-count]")).to_have_text("30 of 30 pages")
    page.get_by_role("link", name="To the collection").click()
    expect(page.get_by_role("link", name="garden plan.pdf")).to_be_visible()
    page.get_by_role("link", name="Search this collection").click()
    page.locator("#q").fill("hedge")
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first).to_contain_text("garden plan")


def test_what_is_no_pdf_is_said_by_name(page: Page, site: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.pdf"
    path.write_bytes(b"just text")
    page.goto(f"{site}/collections/garden")
    page.set_input_files("#files", str(path))
    with page.expect_response(pattern("/documents")) as answer:
        page.get_by_role("button", name="Upload", exact=True).click()
    assert answer.value.status == 422
    expect(page.locator(".drop-state")).to_contain_text("notes.pdf is no PDF")


def test_results_come_first_unranked_then_reranked_and_each_state_has_a_link(page: Page, site: str) -> None:
    page.goto(f"{site}/search?collection=demo")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "fragment" in request.url else None)
    page.locator("#q").fill("blue")
    page.keyboard.press("Enter")
    expect(page.locator(".hit h3").first).to_contain_text("page 4")
    assert ["rerank=off" in url for url in asked] == [True, False]
    page.get_by_role("link", name="Before reranking").click()
    expect(page.locator(".hit h3").first).to_contain_text("page 3")
    assert "rerank=off" in page.url
    page.goto(page.url)
    expect(page.locator(".hit h3").first).to_contain_text("page 3")
    page.select_option("select[name=group]", "document")
    expect(page.locator("h2.group")).to_contain_text("colours")
    assert "group=document" in page.url


def test_search_works_without_scripts(browser: Browser, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{site}/search")
    page.select_option("select[name=collection]", "demo")
    page.locator("#q").fill("gamma")
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first).to_contain_text("colours")
    page.locator(".why-link").first.click()
    expect(page.get_by_role("heading", name="Why this page")).to_be_visible()
    context.close()


def test_results_are_walked_and_opened_by_keyboard(page: Page, site: str) -> None:
    page.goto(f"{site}/search?q=blue&rerank=off&collection=demo")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".hit").first).to_have_class(pattern("chosen"))
    page.keyboard.press("e")
    expect(page.locator(".hit .why").first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(pattern(r"/pages/.*/0003"))
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_the_viewer_turns_zooms_and_shows_evidence_by_key(page: Page, site: str) -> None:
    page.goto(f"{site}/search?q=blue&rerank=off&collection=demo")
    page.locator(".hit h3 a").first.click()
    page.wait_for_url(pattern(r"/pages/"))  # until it has loaded: keys are heard from then on
    expect(page.get_by_role("heading", name="Why this page")).to_be_visible()
    page.keyboard.press("+")
    expect(page.locator(".stage")).to_have_class(pattern("zoom-width"))
    assert "zoom=width" in page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_url(pattern(r"/pages/.*/0?0?0?4\?.*zoom=width"))
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(pattern(r"/pages/.*/0?0?0?3\?"))
    page.keyboard.press("0")
    expect(page.locator(".stage")).to_have_class(pattern("zoom-fit"))
    page.keyboard.press("e")
    page.wait_for_url(lambda url: "why" not in url)


def test_a_document_is_removed_only_after_a_second_step(page: Page, site: str, tmp_path: Path) -> None:
    path = tmp_path / "old.pdf"
    path.write_bytes(pdf(("red", "old")))
    page.goto(f"{site}/collections/attic")
    page.set_input_files("#files", str(path))
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(pattern(r"/jobs/"))
    expect(page.locator("[data-state]")).to_have_text("done", timeout=300_000)
    page.goto(f"{site}/collections/attic")
    expect(page.get_by_role("button", name="Remove old.pdf")).to_be_hidden()
    page.get_by_text("Remove…").click()
    page.get_by_role("button", name="Remove old.pdf").click()
    expect(page.get_by_text("No documents yet.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_axe_finds_nothing_serious_and_nothing_sticks_out(
    browser: Browser, site: str, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{site}/search?q=blue&collection=demo&group=document")
    viewer = page.locator(".hit h3 a").first.get_attribute("href")
    document = page.locator("h2.group a").first.get_attribute("href")
    found: list[str] = []
    paths = ["/", "/search?q=blue&collection=demo", "/collections/demo", viewer]
    if width == 1280:
        paths += ["/jobs", "/reports", "/docs", document, "/sign-in", "/nowhere"]
    for path in paths:
        page.goto(f"{site}{path}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{path} is {wide} px too wide"] if wide > 0 else []
        for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            if violation["impact"] in SERIOUS:
                nodes = [node["html"][:120] for node in violation["nodes"][:3]]
                found.append(f"{path}: {violation['id']} {nodes}")
    context.close()
    assert found == []
