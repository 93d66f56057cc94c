/** A guest that ended itself: thrown through it, so that nothing of it runs on. */
import { CytoError } from "../../kernel/index.ts";

export class Exit extends CytoError {
  /** 0 says that it succeeded. */
  readonly exitCode: number;

  constructor(service: string, exitCode: number) {
    super("instance-trapped", `Cannot go on with service ${service}: the guest called exit(${exitCode})`);
    this.exitCode = exitCode;
  }
}
