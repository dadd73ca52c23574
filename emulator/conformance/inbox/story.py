"""A person at the inbox: a message arrives without a reload, its link is clicked, and the app is signed in.

The app is a page of this script that verifies the token with Descope's Python SDK. Screenshots of the inbox at phone
and desktop width are left in the directory that is the first argument; the second is the file of axe-core, which looks
at every view.
"""

import http.server
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from descope import DeliveryMethod, DescopeClient
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

BASE = os.environ["DESCOPE_BASE_URI"]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMEDRIVER = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")

descope = DescopeClient(project_id=os.environ["DESCOPE_PROJECT_ID"])


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        token = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query).get("t", [""])[0]
        try:
            text = f"Signed in as {descope.magiclink.verify(token)['user']['email']}"
        except Exception as reason:
            text = f"Not signed in: {reason}"
        page = f"<!doctype html><title>App</title><h1>{text}</h1>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def browser(width, height, phone=False, dark=False, more=()):
    options = Options()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--hide-scrollbars",
        f"--window-size={width},{height + 143}",
        *more,
    ):
        options.add_argument(argument)
    if phone:
        metrics = {"width": width, "height": height, "pixelRatio": 2}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(CHROMEDRIVER), options=options)
    if dark:
        scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    return driver


def until(driver, what, condition, seconds=10):
    # The page draws anew while it is looked at.
    wait = WebDriverWait(driver, seconds, ignored_exceptions=[StaleElementReferenceException])
    return wait.until(condition, f"timed out: {what}")


def rows(driver):
    return driver.find_elements(By.CSS_SELECTOR, "#messages .row")


def fits(driver):
    wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"the page is {wide} pixels too wide"


def quiet(driver):
    # An icon or policy problem would show here.
    problems = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not problems, problems


def accessible(driver, axe, where):
    driver.execute_script(axe)
    found = driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
    problems = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
    assert not problems, f"{where}: {problems}"


def control(method, path, body={}):
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{BASE}/_emulator/v1/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def desktop(shots, app):
    driver = browser(1280, 800)
    try:
        driver.get(f"{BASE}/")
        until(driver, "the empty inbox", lambda d: d.find_element(By.ID, "empty").is_displayed())
        assert "DESCOPE_BASE_URI=" in driver.find_element(By.ID, "env").text
        driver.save_screenshot(f"{shots}/empty-1280.png")
        loaded = driver.execute_script("return performance.timeOrigin")

        descope.magiclink.sign_up(DeliveryMethod.EMAIL, "ann@example.com", app, {"name": "Ann"})
        descope.magiclink.sign_up(DeliveryMethod.WHATSAPP, "+15555550123", app, {"phone": "+15555550123"})
        until(driver, "two messages without a reload", lambda d: len(rows(d)) == 2)
        assert driver.execute_script("return performance.timeOrigin") == loaded

        # Keyboard: search, choose, leave the search.
        body = driver.find_element(By.TAG_NAME, "body")
        body.send_keys("/")
        search = driver.find_element(By.ID, "search")
        assert driver.switch_to.active_element == search
        search.send_keys("ann")
        until(driver, "one match", lambda d: len(rows(d)) == 1)
        search.send_keys(Keys.ESCAPE)
        until(driver, "both again", lambda d: len(rows(d)) == 2)
        driver.switch_to.active_element.send_keys("j")
        until(driver, "Ann's message", lambda d: "To ann@example.com" in d.find_element(By.ID, "detail").text)
        fits(driver)
        driver.save_screenshot(f"{shots}/inbox-1280.png")

        inbox = driver.current_window_handle
        driver.find_element(By.ID, "open").click()
        until(driver, "the app in a new tab", lambda d: len(d.window_handles) == 2)
        driver.switch_to.window(next(handle for handle in driver.window_handles if handle != inbox))
        until(driver, "signed in", lambda d: d.find_element(By.TAG_NAME, "h1").text == "Signed in as ann@example.com")

        driver.switch_to.window(inbox)
        until(driver, "the link is used", lambda d: "Used" in d.find_element(By.CSS_SELECTOR, ".head .tag").text)
        driver.find_element(By.ID, "clear").click()
        until(driver, "the empty inbox again", lambda d: d.find_element(By.ID, "empty").is_displayed())
        quiet(driver)
    finally:
        driver.quit()


def phone(shots, app):
    descope.magiclink.sign_up_or_in(DeliveryMethod.EMAIL, "joe.person@a-rather-long-company-name.example.com", app)
    descope.magiclink.sign_up_or_in(DeliveryMethod.SMS, "+15555550124", app)
    for dark in (False, True):
        name = "-dark" if dark else ""
        driver = browser(390, 844, phone=True, dark=dark)
        try:
            driver.get(f"{BASE}/_emulator/")
            until(driver, "two messages", lambda d: len(rows(d)) == 2)
            assert not driver.find_element(By.ID, "detail").is_displayed()
            fits(driver)
            driver.save_screenshot(f"{shots}/inbox-390{name}.png")
            rows(driver)[1].click()
            until(driver, "the message", lambda d: d.find_element(By.ID, "open").is_displayed())
            fits(driver)
            driver.save_screenshot(f"{shots}/message-390{name}.png")
            driver.find_element(By.CSS_SELECTOR, ".back").click()
            until(driver, "the list", lambda d: rows(d)[0].is_displayed())
            quiet(driver)
        finally:
            driver.quit()


VIEWS = ("messages", "users", "requests", "clock", "faults")


def texts(driver, view):
    return driver.find_element(By.ID, view).text


def views(shots, axe):
    """Every view at both widths, light and dark: what is in it, that it fits, and what axe-core says."""
    control("POST", "users", {"loginId": "a-rather-long-name@a-rather-long-company-name.example.com", "roles": ["admin"]})
    control("POST", "faults", {"operation": "RefreshSession", "times": 2, "respond": {"status": 503}})
    control("POST", "faults", {"path": "/v2/keys/", "delayMillis": 5})
    for width, height in ((1280, 800), (390, 844)):
        for dark in (False, True):
            name = "-dark" if dark else ""
            driver = browser(width, height, phone=width < 500, dark=dark)
            try:
                driver.get(f"{BASE}/_emulator/")
                until(driver, "messages", lambda d: len(rows(d)) == 2)
                for number, view in enumerate(VIEWS, 1):
                    driver.find_element(By.TAG_NAME, "body").send_keys(str(number))
                    shown = "main" if view == "messages" else view
                    until(driver, view, lambda d: d.find_element(By.ID, shown).is_displayed())
                    if view not in ("messages", "clock"):
                        filled = f"#{view} [data-table] > *"
                        until(driver, f"{view} are there", lambda d: d.find_elements(By.CSS_SELECTOR, filled))
                    fits(driver)
                    accessible(driver, axe, f"{view} at {width}{name}")
                    driver.save_screenshot(f"{shots}/{view}-{width}{name}.png")
                quiet(driver)
            finally:
                driver.quit()


def powers(shots):
    """Users, requests, clock and faults by keyboard and live, without a reload."""
    driver = browser(1280, 800)
    try:
        driver.get(f"{BASE}/_emulator/#users")
        until(driver, "the users", lambda d: "joe.person" in texts(d, "users"))
        form = driver.find_element(By.ID, "add-user")
        form.find_element(By.NAME, "loginId").send_keys("new@example.com" + Keys.ENTER)
        until(driver, "the new user", lambda d: "new@example.com" in texts(d, "users"))
        driver.find_element(By.CSS_SELECTOR, '[aria-label="Delete new@example.com"]').send_keys(Keys.ENTER)
        until(driver, "no new user", lambda d: "new@example.com" not in texts(d, "users"))
        assert driver.switch_to.active_element.get_attribute("id") == "users-title", "focus is not lost"
        control("POST", "users", {"loginId": "elsewhere@example.com"})
        until(driver, "a user who was added elsewhere", lambda d: "elsewhere@example.com" in texts(d, "users"))

        driver.get(f"{BASE}/_emulator/#faults")
        until(driver, "the faults", lambda d: "RefreshSession" in texts(d, "faults"))
        form = driver.find_element(By.ID, "add-fault")
        form.find_element(By.NAME, "operation").send_keys("VerifyMagicLink")
        form.find_element(By.NAME, "times").send_keys("1" + Keys.ENTER)
        until(driver, "the new fault", lambda d: "VerifyMagicLink" in d.find_element(By.CSS_SELECTOR, "#faults [data-table]").text)
        headers = {"Authorization": f"Bearer {os.environ['DESCOPE_PROJECT_ID']}"}
        url = f"{BASE}/v1/auth/magiclink/verify"
        request = urllib.request.Request(url, b'{"token":"any"}', headers, method="POST")
        try:
            urllib.request.urlopen(request)
            raise AssertionError("the fault did not hit")
        except urllib.error.HTTPError as response:
            assert response.code == 503, response.code
        driver.get(f"{BASE}/_emulator/#requests")
        until(driver, "the request", lambda d: "fault: respond 503" in texts(d, "requests"))
        first = driver.find_element(By.CSS_SELECTOR, "#requests summary")
        first.send_keys(Keys.ENTER)
        until(driver, "its body", lambda d: '"token": "any"' in texts(d, "requests"))

        # A link to an app is shown, and is none on this page.
        descope.magiclink.sign_up(DeliveryMethod.EMAIL, "app@example.com", "myapp://verify", {"name": "App"})
        driver.get(f"{BASE}/_emulator/#messages")
        until(driver, "its row", lambda d: "app@example.com" in rows(d)[0].text)
        rows(driver)[0].click()
        until(driver, "the app's message", lambda d: "To app@example.com" in texts(d, "detail"))
        assert "myapp://verify?t=" in texts(driver, "detail")
        links = driver.find_elements(By.CSS_SELECTOR, "#detail a")
        assert not links, [link.get_attribute("href") for link in links]

        driver.get(f"{BASE}/_emulator/#clock")
        until(driver, "the clock", lambda d: "real time" in texts(d, "clock"))
        driver.find_element(By.CSS_SELECTOR, '[data-advance="86400"]').click()
        until(driver, "a moved clock", lambda d: "moved" in texts(d, "clock"))
        driver.find_element(By.ID, "freeze").click()
        until(driver, "a frozen clock", lambda d: "stands still" in texts(d, "clock"))
        control("POST", "clock", {"real": True})
        until(driver, "real time again", lambda d: "real time" in texts(d, "clock"))
        quiet(driver)
    finally:
        driver.quit()


def rebound():
    """A page that gave its own host name this machine's address gets nothing of the emulator."""
    port = urllib.parse.urlparse(BASE).port
    driver = browser(800, 600, more=("--host-resolver-rules=MAP rebound.test 127.0.0.1",))
    try:
        driver.get(f"http://rebound.test:{port}/v2/keys/any")
        status = """
            const [method, path, done] = arguments;
            const body = method === "POST" ? "{}" : undefined;
            fetch(path, { method, body, headers: { authorization: "Bearer P2:K2" } })
                .then((response) => done(response.status), () => done("no response"));
        """
        for method, path in (
            ("POST", "/v1/mgmt/user/signin/embeddedlink"),
            ("POST", "/v1/auth/magiclink/verify"),
            ("GET", "/_emulator/v1/messages"),
            ("POST", "/_emulator/v1/sessions"),
        ):
            found = driver.execute_async_script(status, method, path)
            assert found == 403, (method, path, found)
            cross = driver.execute_async_script(status, method, f"{BASE}{path}")
            assert cross == "no response", (method, path, cross)
    finally:
        driver.quit()


def main():
    shots = sys.argv[1]
    with open(sys.argv[2], encoding="utf-8") as file:
        axe = file.read()
    os.makedirs(shots, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    app = f"http://127.0.0.1:{server.server_address[1]}/verify"
    control("POST", "reset")
    started = time.monotonic()
    desktop(shots, app)
    phone(shots, app)
    views(shots, axe)
    powers(shots)
    rebound()
    # What comes next in the same run meets no fault of this story.
    control("POST", "reset")
    print(f"inbox: ok in {time.monotonic() - started:.1f} s, screenshots in {shots}")
    server.shutdown()


if __name__ == "__main__":
    main()
