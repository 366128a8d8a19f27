"""The pages in a real browser: in both themes, on a telephone, by keyboard, and for those who do not see."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

PATHS = (
    "/",
    "/?as_of=2021-07-20T18:50:00Z",
    "/pipeline?pipeline=batch",
    "/source?pipeline=batch&source=batch_segment",
    "/source?pipeline=batch&source=batch_segment&from=2021-07-20T18:40:00Z&to=2021-07-20T19:00:00Z",
    "/cell?pipeline=batch&source=batch_segment&bucket=2021-07-20T18:50:00Z",
    "/incidents?status=all",
    "/queues",
    "/reports",
    "/report?day=2021-07-20",
    "/forensics",
    "/forensics?pipeline=batch&from=2021-07-20T18:00:00Z&to=2021-07-20T19:20:00Z",
    "/replays",
    "/mutes",
    "/detector",
    "/login",
    "/nowhere",
)
LOOKS = {"light": ("light", 1280), "dark": ("dark", 1280), "telephone": ("dark", 390)}


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, incident: str) -> Iterator[Page]:
    """A page at the overview; at the end nothing was wrong with it, and no other host was asked."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=incident)
    opened = context.new_page()
    wrong: list[str] = []
    watch(opened, incident, wrong)
    opened.goto("/")
    yield opened
    assert wrong == []
    context.close()


def watch(page: Page, address: str, wrong: list[str]) -> None:
    """Note every error, and every request that leaves the service."""
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    host = urlsplit(address).netloc
    page.on("request", lambda sent: wrong.append(sent.url) if urlsplit(sent.url).netloc != host else None)


def test_every_page_is_without_fault_for_everybody(browser: Browser, incident: str, look: str) -> None:
    theme, width = LOOKS[look]
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light", viewport={"width": width, "height": 844}, base_url=incident
    )
    page = context.new_page()
    wrong: list[str] = []
    watch(page, incident, wrong)
    links = [first_link(page, path) for path in ("/incidents?status=all", "/replays")]
    for path in (*PATHS, *links):
        page.goto(path)
        # What a telephone changes is the width; the pages whose tables it lays out anew are looked at once more.
        audited = look != "telephone" or path.startswith(("/?", "/source", "/report?"))
        found = Axe().run(page).response["violations"] if audited else []
        wrong += [f"{path}: {one['id']} at {one['nodes'][0]['target']}" for one in found]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            wrong.append(f"{path} is {wide} pixels too wide")
    assert [one for one in wrong if "status of 404" not in one] == []
    context.close()


def first_link(page: Page, path: str) -> str:
    """Where the first row of the table of a page leads."""
    page.goto(path)
    return str(page.locator("table a").first.get_attribute("href"))


def test_from_the_overview_to_the_evidence_it_is_four_clicks(page: Page) -> None:
    page.get_by_role("link", name="events lost since").first.click()
    expect(page.locator("main")).to_contain_text("the queue deleted them before anybody had read them")
    page.get_by_role("link", name="batch_segment").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("batch_segment")
    page.get_by_role("row").filter(has_text="queue_expired").get_by_role("link").first.click()
    page.get_by_role("heading", name="Bucket by bucket").wait_for()
    page.get_by_role("link", name="18:50", exact=True).click()
    expect(page.locator("table.sum")).to_contain_text("10,000 of them by direct evidence")
    expect(page.locator("main")).to_contain_text("at risk")


def test_from_an_incident_to_who_sends_it_again_and_by_when(page: Page) -> None:
    page.get_by_role("link", name="events lost since").first.click()
    page.get_by_role("link", name="Plan who sends it again").click()
    page.get_by_label("Who plans it").fill("ann")
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Replay of batch")
    row = page.get_by_role("row").filter(has_text="batch_segment").last
    expect(row).to_contain_text("Partner integrations: a partner sends it again when asked; ask partners@example.com")
    page.get_by_role("link", name="Forensics").click()
    page.get_by_role("link", name="events lost since").first.click()
    expect(page.locator(".course")).to_contain_text("its first unread record is kept until 2021-07-20T19:05:00Z")
    direct = page.get_by_role("row").filter(has_text="only the customer's own servers can send them again")
    expect(direct).to_contain_text("2 Aug 2021 06:59 UTC")


def test_a_link_shows_again_what_was_known_then(page: Page) -> None:
    page.goto("/?as_of=2021-07-20T18:55:00Z")
    expect(page.get_by_role("status")).to_contain_text("20 Jul 2021 18:55 UTC")
    expect(page.locator("main")).not_to_contain_text("events lost since")
    expect(page.locator("main")).to_contain_text("events will be deleted before they are processed")
    page.get_by_role("link", name="batch_segment").first.click()
    assert "as_of=2021-07-20T18%3A55%3A00Z" in page.url
    expect(page.locator("main")).to_contain_text("before they are read")
    page.get_by_role("link", name="Back to the present").click()
    expect(page.locator("main")).to_contain_text("the queue deleted them before anybody had read them")


def test_it_can_be_used_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.get_by_role("heading", level=1)).to_have_text("Incidents")
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues and limits")


def test_the_theme_is_chosen_and_remembered(page: Page) -> None:
    def back() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    bright = back()
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme: light").click()
    assert back() != bright
    page.goto("/incidents")
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert back() != bright
