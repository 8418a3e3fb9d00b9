"""What is done with ComfyUI's page in a browser: run its graph, and separate its problems from the pack's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

# No first-visit tour, and no question whether to leave a changed workflow.
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Window.UnloadConfirmation": False}
# How long it is waited for, in ms: where much else goes on, a newer one, of 1500 files, takes more than 30 s to open.
PATIENCE = 90_000
# The page's own Run. Resolves when everything has run, with what went wrong, if anything did.
RUN = """async () => {
    const api = window.comfyAPI.api.api
    // before that, the end of a run is not received
    while (api.socket?.readyState !== 1) await new Promise(done => setTimeout(done, 50))
    const ended = new Promise(resolve => {
        api.addEventListener('execution_success', () => resolve(null))
        for (const kind of ['execution_error', 'execution_interrupted'])
            api.addEventListener(kind, event => resolve(JSON.stringify(event.detail)))
    })
    await app.queuePrompt(0, 1)
    const refused = Object.entries(app.lastNodeErrors ?? {}).map(([id, node]) => [id, node.errors[0].details])
    return { refused, failed: await ended }
}"""


def open_page(page: Page, url: str) -> None:
    """Open ComfyUI's page as on a first visit, and wait for its own first graph: from then on it loads what it is given."""
    stored = {"origin": url, "storageTypes": "all"}  # all but the cache
    page.context.new_cdp_session(page).send("Storage.clearDataForOrigin", stored)
    page.goto(url)
    page.wait_for_function("window.app?.graph?.nodes.length")


def of_the_pack(page: Page) -> list[str]:
    """The page's problems without ComfyUI's own: it asks for missing files and outside addresses, and has errors at start."""
    own = (
        *("Failed to load resource", "reading 'id'", "ComfyApp graph accessed before initialization"),
        *("api.comfy.org", "huggingface.co", "Error fetching file size"),
    )
    return [problem for problem in page.problems if not any(words in problem for words in own)]
