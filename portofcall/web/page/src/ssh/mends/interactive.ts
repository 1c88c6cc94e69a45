/**
 * keyboard-interactive (RFC 4256).
 *
 * dev-tunnels-ssh leaves out the last two fields of the request (OpenSSH: "parse packet: incomplete message"), and
 * reads the prompts as all texts, then all echo flags, where the RFC has text and flag in turn.
 */

import * as ssh from "@microsoft/dev-tunnels-ssh";

export const INTERACTIVE = "keyboard-interactive" as ssh.AuthenticationMethod;
/** A server that asks more at once is not serious. */
const MOST_PROMPTS = 32;

export class InteractiveRequest extends ssh.AuthenticationRequestMessage {
  override methodName = INTERACTIVE;
  override serviceName = "ssh-connection";

  constructor(override readonly username: string) {
    super();
  }

  protected override onWrite(writer: ssh.SshDataWriter): void {
    super.onWrite(writer);
    writer.writeString("", "ascii"); // the language, which is deprecated
    writer.writeString("", "ascii"); // submethods: the server chooses
  }
}

export interface Prompt {
  readonly text: string;
  readonly echo: boolean;
}

export class InfoRequest extends ssh.AuthenticationMessage {
  name = "";
  instruction = "";
  questions: readonly Prompt[] = [];

  override get messageType(): number {
    return 60;
  }

  protected override onRead(reader: ssh.SshDataReader): void {
    this.name = reader.readString("utf8");
    this.instruction = reader.readString("utf8");
    reader.readString("ascii"); // the language
    const count = reader.readUInt32();
    if (count > MOST_PROMPTS) throw new Error(`the server asks ${count} questions at once`);
    this.questions = Array.from({length: count}, () => ({text: reader.readString("utf8"), echo: reader.readBoolean()}));
  }

  protected override onWrite(writer: ssh.SshDataWriter): void {
    for (const text of [this.name, this.instruction, ""]) writer.writeString(text, "utf8");
    writer.writeUInt32(this.questions.length);
    for (const {text, echo} of this.questions) {
      writer.writeString(text, "utf8");
      writer.writeBoolean(echo);
    }
  }
}

export class InfoResponse extends ssh.AuthenticationMessage {
  constructor(readonly answers: readonly string[] = []) {
    super();
  }

  override get messageType(): number {
    return 61;
  }

  protected override onWrite(writer: ssh.SshDataWriter): void {
    writer.writeUInt32(this.answers.length);
    for (const answer of this.answers) writer.writeString(answer, "utf8");
  }
}

/** Read the server's questions as they are sent. */
export function mendInteractive(config: ssh.SshSessionConfiguration): void {
  config.contextualMessages.get(INTERACTIVE)?.set(60, InfoRequest);
}
