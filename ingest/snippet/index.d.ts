// Types of the script that /snippet.js gives. Copy this file into a project that calls it.

export interface Tieback {
  /** Calls fn once the script is there; at once when it is. Wrap every other call in it. */
  ready(fn: () => void): void;
  /**
   * Reports, at once, who the visitor is: a system, such as "salesforce", and the id there. Hash ids that are personal data.
   * Inside ready the promise settles: with true once the service has it, with false where it never will (opted out, or no id).
   */
  setUserId(userDomain: string, userId: string): Promise<boolean>;
  /**
   * Says something of the visitor, by which results can be looked at in parts: up to 10 names (a to z, 0 to 9, _) with texts of up to
   * 64 bytes. It holds for the views recorded from now on, until the page goes. `device` is set by itself.
   */
  setAttributes(attributes: { [name: string]: string | number }): void;
  /** Reports that the visitor sees a variation of an optimization now. */
  recordView(optimizationId: string, variationId: string): void;
  /** Forgets the visitor and reports nothing more, until optIn. */
  optOut(): void;
  /** Reports again, also where the browser sends Global Privacy Control. */
  optIn(): void;
  /** Begins a new visitor, as on log-out in a browser that several people use. What was said of opting out stays. */
  reset(): void;
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
