import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { frame } from "./texts.js";

export async function mount(main) {
  fill(main, h("div", { class: "page" }, h("h1", {}, frame.people)));
  await get("/api/people", { list: "groups" });
}

export function unmount() {}
