/** Requests on a channel (RFC 4254, section 6). */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";

export const TERM = "xterm-256color";
const NO_MODES = Buffer.from([0]); // TTY_OP_END

/** In characters. */
export interface Size {
  readonly cols: number;
  readonly rows: number;
}

/** A terminal for what is started next. */
export class PtyRequest extends ssh.ChannelRequestMessage {
  constructor(private readonly size: Size) {
    super(ssh.ChannelRequestType.terminal, true);
  }

  protected override onWrite(writer: ssh.SshDataWriter): void {
    super.onWrite(writer);
    writer.writeString(TERM, "ascii");
    writeSize(writer, this.size);
    writer.writeBinary(NO_MODES);
  }
}

/** A variable of the environment. Servers take LANG and LC_* at most, and no answer is wanted. */
export class EnvRequest extends ssh.ChannelRequestMessage {
  constructor(private readonly name: string, private readonly value: string) {
    super("env", false);
  }

  protected override onWrite(writer: ssh.SshDataWriter): void {
    super.onWrite(writer);
    writer.writeString(this.name, "ascii");
    writer.writeString(this.value, "utf8");
  }
}

export class WindowChange extends ssh.ChannelRequestMessage {
  constructor(private readonly size: Size) {
    super("window-change", false);
  }

  protected override onWrite(writer: ssh.SshDataWriter): void {
    super.onWrite(writer);
    writeSize(writer, this.size);
  }
}

/** The library's message takes no arguments. */
export function commandRequest(command: string): ssh.CommandRequestMessage {
  return Object.assign(new ssh.CommandRequestMessage(), {command, wantReply: true});
}

function writeSize(writer: ssh.SshDataWriter, {cols, rows}: Size): void {
  for (const number of [cols, rows, 0, 0]) writer.writeUInt32(number); // the size in pixels is not known
}
