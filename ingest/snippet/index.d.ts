// Types of the script that /snippet.js gives. Copy this file into a project that calls it.

export interface Tieback {
  /** Calls fn once the script is there; at once when it is. Wrap every other call in it. */
  ready(fn: () => void): void;
  /** Tells who the visitor is: a system, such as "salesforce", and the id there. Hash ids that are personal data. */
  setUserId(userDomain: string, userId: string): void;
  /** Tells that the visitor sees a variation of an optimization now. */
  recordView(optimizationId: string, variationId: string): void;
  /** Forgets the visitor and reports nothing more, until optIn. */
  optOut(): void;
  /** Reports again, also where the browser sends Global Privacy Control. */
  optIn(): void;
  /** The visitor's id, empty while nothing is reported. Not in the stub: call it inside ready. */
  visitorId(): string;
}

declare global {
  interface Window {
    tieback: Tieback;
    /** The same object, for pages written for the reference product. */
    intellimize: Tieback;
    wf: Tieback;
  }
}
