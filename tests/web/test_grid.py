"""The grid of the page: any number of tiles by few nodes, and what is said goes through one ordered queue."""

from typing import TYPE_CHECKING, Any

from tests.web.opened import Opened

if TYPE_CHECKING:
    from playwright.sync_api import Route

_NODES = 200

# A grid of three million tiles: higher than a browser scrolls. Keys and scrolling as a user does them; after each
# step how far it is from the top, the tile that is active, and how many tiles are wholly seen.
_MILLIONS = """async () => {
  const { Grid } = await import("/static/grid/grid.js");
  const { List } = await import("/static/grid/list.js");
  const { moveBy } = await import("/static/grid/grid_keys.js");
  const total = 3_000_000;
  const some = (first, n) => Array.from({ length: Math.min(n, total - first) }, (_, i) => ({ id: first + i }));
  const list = new List(async (first, n) => ({ total, items: some(first, n) }), { key: ({ id }) => id });
  const look = ({ id }) => ({ label: `tile ${id}`, face: null, marks: "" });
  const grid = new Grid({ label: "Many", sections: [{ name: "many", list, look }], least: 104, does: {} });
  const main = document.getElementById("main");
  main.replaceChildren(grid.element);
  main.className = "fixed";
  list.want(0, 0);
  const still = () => new Promise((done) => setTimeout(done, 400));
  const seen = () => {
    const view = grid.element.getBoundingClientRect();
    const inView = ({ top, bottom }) => top >= view.top && bottom <= view.bottom;
    const cells = [...grid.element.querySelectorAll("[role=gridcell]")];
    return cells.filter((cell) => inView(cell.getBoundingClientRect())).length;
  };
  const active = () => document.getElementById(grid.element.getAttribute("aria-activedescendant"))?.ariaLabel ?? null;
  const steps = [];
  const step = async (name, act) => {
    await act();
    await still();
    const nodes = grid.element.querySelectorAll("*").length;
    steps.push({ name, top: grid.track.top, active: active(), seen: seen(), nodes });
  };
  const wheel = async (n, by) => {
    for (let i = 0; i < n; i += 1) {
      grid.element.scrollTop += by;
      await new Promise(requestAnimationFrame);
    }
  };
  await still();
  await step("begin", () => grid.element.focus());
  await step("End", () => moveBy(grid, "End"));
  await step("wheel up", () => wheel(10, -100));
  await step("middle", () => (grid.element.scrollTop = grid.element.scrollHeight / 2));
  await step("wheel down", () => wheel(10, 100));
  await step("Home", () => moveBy(grid, "Home"));
  const end = grid.layout.height - grid.element.clientHeight;
  grid.close();
  return { steps: Object.fromEntries(steps.map(({ name, ...rest }) => [name, rest])), end };
}"""

_SIZES = """async () => {
  const { measured } = await import("/static/grid/layout.js");
  const sizes = [];
  for (let width = 200; width <= 4000; width += 90)
    for (let height = 150; height <= 2400; height += 75)
      for (const caption of [0, 26, 44]) {
        const { columns, side, over } = measured({ width, height, least: 104, caption, gap: 8 });
        const rows = Math.ceil(height / (side + caption)) + 1 + 2 * over;
        sizes.push({ width, height, nodes: rows * (1 + 2 * columns), side });
      }
  return sizes;
}"""

_ORDER = """async () => {
  const { send } = await import("/static/frame/queue.js");
  const words = "Done";
  const names = Array.from({ length: 20 }, (_, i) => `Name ${i}`);
  await Promise.all(names.map((name) => send({ path: "/api/people/1/name", body: { name }, words })));
}"""


def test_three_million_tiles_are_reached_to_the_pixel_by_few_nodes(there: Opened) -> None:
    there.go("/log")
    found: dict[str, Any] = there.page.evaluate(_MILLIONS)
    steps, end = found["steps"], found["end"]
    assert end > 20_000_000  # beyond what browsers scroll
    assert steps["begin"] | {"seen": 0, "nodes": 0} == {"top": 0, "active": "tile 0", "seen": 0, "nodes": 0}
    assert steps["End"]["active"] == "tile 2999999"
    assert steps["End"]["top"] == end
    assert steps["wheel up"]["top"] == end - 1000
    assert abs(steps["middle"]["top"] - end / 2) < 1000
    assert steps["wheel down"]["top"] == steps["middle"]["top"] + 1000
    assert steps["Home"] == steps["begin"]
    assert all(step["seen"] > 20 and step["nodes"] <= _NODES for step in steps.values())


def test_a_window_of_any_size_is_filled_by_few_nodes(there: Opened) -> None:
    sizes = there.page.evaluate(_SIZES)
    assert [size for size in sizes if size["nodes"] > _NODES] == []
    assert min(size["side"] for size in sizes) >= 104


def test_writes_are_done_in_the_order_in_which_they_were_said(there: Opened) -> None:
    there.page.evaluate(_ORDER)
    words = [change.words for change in reversed(there.gallery.log(20))]
    assert len(words) == 20
    assert there.gallery.person(1).name == "Name 19"
    ids = [change.id for change in there.gallery.log(20)]
    assert ids == sorted(ids, reverse=True)


def _held(there: Opened) -> "list[Route]":
    """All names that are on their way; the first one is held until it is let go."""
    found: list[Route] = []

    def held(route: "Route") -> None:
        if found:
            route.continue_()
        found.append(route)

    there.page.route("**/api/people/*/name", held)
    return found


def test_one_write_is_on_its_way_at_a_time(there: Opened) -> None:
    waiting = _held(there)
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight", "Enter", "=One", "Enter", "Enter", "=Two", "Enter")
    there.page.get_by_text("Saving 2").wait_for()
    assert len(waiting) == 1
    waiting[0].continue_()
    there.is_saved()
    assert sorted(each.name for each in there.gallery.people() if each.name) == ["One", "Two"]


def test_what_still_waits_is_taken_back_without_being_sent(there: Opened) -> None:
    waiting = _held(there)
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight", "Enter", "=One", "Enter", "Enter", "=Two", "Enter", "u")
    there.page.get_by_role("status").get_by_text("Taken back").wait_for()
    waiting[0].continue_()
    there.is_saved()
    assert [each.name for each in there.gallery.people() if each.name] == ["One"]
    assert len(waiting) == 1


def test_groups_that_are_selected_are_named_together(there: Opened) -> None:
    faces = [each.faces for each in there.gallery.people()][:3]
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight")
    there.page.get_by_role("heading", name="3 selected").wait_for()
    there.keys("n", "=Ann", "Enter")
    there.is_saved()
    assert [(each.name, each.faces) for each in there.gallery.people() if each.name] == [("Ann", sum(faces))]
    there.keys("u", "u")
    there.is_saved()
    assert [each.faces for each in there.gallery.people()][:3] == faces


def test_passers_by_are_told_in_one_act(there: Opened) -> None:
    small = [each for each in there.gallery.people() if not each.name and each.faces < 10]
    there.page.get_by_role("button", name="Passers-by").click()
    there.page.get_by_role("button", name=f"fewer than 10 faces ({len(small)} groups)").click()

    def kinds() -> list[str]:
        return [each.kind for each in there.gallery.people() if each.id in {one.id for one in small}]

    there.until(lambda: set(kinds()) == {"stranger"})
    assert kinds() == ["stranger"] * len(small)
    there.is_saved()
    there.page.get_by_role("button", name="Undo the last change").click()
    there.until(lambda: "stranger" not in kinds())
    assert "stranger" not in {each.kind for each in there.gallery.people()}
