// The notes on the vehicle: read, written, and deleted by their authors.

import { addNote, deleteNote, listNotes } from "../api.js";
import { button, byId, element, showFieldError } from "../dom.js";
import { time } from "../format.js";
import { PagedList } from "../paged_list.js";
import { viewer } from "../site.js";

export class NotesPanel {
  #id;
  #onChange;
  #text = byId("note-text");
  #list;
  #count = null; // until the vehicle is known

  /**
   * onChange  called after the user has written or deleted a note
   * onNotes   called with the notes that are shown
   */
  constructor(id, { onChange, onNotes }) {
    this.#id = id;
    this.#onChange = onChange;
    this.#list = new PagedList({
      root: byId("notes"),
      key: ({ note_id: noteId }) => noteId,
      row: (note, node = this.#row(note)) => node,
      emptyText: () => "None.",
      onResults: onNotes,
    });
    byId("note-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text) this.#do(() => addNote(id, text), "");
    });
  }

  /** The list is loaded again only when there are more or fewer notes. */
  show({ note_count: count = 0 }) {
    if (count !== this.#count) this.#list.show(() => listNotes(this.#id));
    this.#count = count;
  }

  #row({ note_id: noteId, author, text, created_at: at }) {
    const remove = () => this.#do(() => deleteNote(this.#id, noteId));
    const about = element("p", { class: "muted" }, time(at), ` by ${author}`);
    if (author === viewer.username)
      about.append(button("Delete", remove, { "aria-label": `Delete the note “${text}”` }));
    return element("li", { class: "note" }, element("p", { class: "vehicle-text" }, text), about);
  }

  async #do(change, left = this.#text.value) {
    try {
      await change();
      this.#text.value = left;
      this.#say("");
    } catch (error) {
      this.#say(error.fields?.text?.join(" ") ?? error.detail ?? "The note was not saved. Try again.");
    }
    this.#text.focus();
    this.#onChange();
  }

  #say(text) {
    showFieldError(this.#text, byId("note-problem"), text);
  }
}
