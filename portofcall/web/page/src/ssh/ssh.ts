/** The SSH view: a chunk of its own, loaded when it is wanted. */

import {h} from "../page/dom.ts";
import {showPlace, type Place} from "../page/place.ts";
import {adoptStyles} from "./view/styles.ts";
import {Workspace} from "./view/workspace.ts";

export interface Surroundings {
  /** From `user@`; empty if it is to be asked. */
  readonly user: string;
  /** Give the heading another text. */
  rename(text: string): void;
  /** Show the sessions again, after another view. */
  showSessions(): void;
}

let workspace: Workspace | null = null;
/** What the shown view is called with. */
let rename: (text: string) => void = () => {};

/** Begin a session, and show all of them until the signal is aborted; they go on. */
export async function sshView(
  place: Place,
  container: HTMLElement,
  signal: AbortSignal,
  surroundings: Surroundings,
): Promise<void> {
  if (signal.aborted) return; // another view was opened while this one was loaded
  adoptStyles();
  rename = surroundings.rename;
  const sessions = (workspace ??= new Workspace(surroundings.showSessions, (name) => rename(name)));
  show(container, signal, sessions);
  sessions.add(place, showPlace(place), surroundings.user);
}

/** Show the sessions that there are. */
export function showSessions(container: HTMLElement, signal: AbortSignal, renamed: (text: string) => void): void {
  rename = renamed;
  if (workspace) show(container, signal, workspace);
  else container.append(h("p", {}, "There are no sessions."));
}

function show(container: HTMLElement, signal: AbortSignal, sessions: Workspace): void {
  container.replaceChildren(sessions.element);
  sessions.shown(true);
  signal.addEventListener("abort", () => {
    rename = () => {};
    sessions.element.remove();
    sessions.shown(false);
  });
}
