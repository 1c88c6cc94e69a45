/**
 * Signing in (RFC 4252), one method at a time.
 *
 * The library's own way tries a fixed list once, hides what the server would still take, and never settles for a key
 * of a type that it does not have; so its service is left out, and only its messages are used.
 */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {Buffer} from "buffer";
import {BannerMessage} from "./mends/banner.ts";
import {InfoRequest, InfoResponse, InteractiveRequest} from "./mends/interactive.ts";
import {internals} from "./mends/internals.ts";

const SERVICE = "ssh-userauth";
const CONNECTION = "ssh-connection";

export type Outcome =
  | {readonly done: true}
  | {
      readonly done: false;
      /** The methods that can go on. */
      readonly methods: readonly string[];
      /** Whether this method succeeded, and the server wants one more. */
      readonly partial: boolean;
    };

/** Answers the server's questions; null gives up. */
export type Answer = (request: InfoRequest) => Promise<readonly string[] | null>;

interface Pending {
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

export class Authentication {
  private pending: Pending | null = null;
  private answer: Answer | null = null;
  private answering = false;

  private constructor(
    private readonly session: ssh.SshClientSession,
    private readonly config: ssh.SshSessionConfiguration,
    private readonly showBanner: (text: string) => void,
  ) {
    session.onClosed(({message}) => this.fail(new Error(message)));
  }

  /** Ask the server to begin. */
  static async begin(
    session: ssh.SshClientSession,
    config: ssh.SshSessionConfiguration,
    showBanner: (text: string) => void,
  ): Promise<Authentication> {
    const made = new Authentication(session, config, showBanner);
    const service = internals(session).activateService(SERVICE);
    if (!service) throw new Error(`the library has no service ${SERVICE}`);
    service.handleMessage = (message) => made.receive(message);
    const closed = new Promise<never>((_, reject) => session.onClosed(({message}) => reject(new Error(message))));
    await Promise.race([internals(session).requestService(SERVICE), closed]);
    return made;
  }

  /** Ask with nothing: the answer names the methods, and some servers let everybody in. */
  none(username: string): Promise<Outcome> {
    const request = new ssh.AuthenticationRequestMessage();
    request.methodName = "none" as ssh.AuthenticationMethod;
    return this.attempt(Object.assign(request, {username, serviceName: CONNECTION}));
  }

  password(username: string, password: string): Promise<Outcome> {
    return this.attempt(Object.assign(new ssh.PasswordRequestMessage(), {username, password, serviceName: CONNECTION}));
  }

  /** @throws Error this browser can't sign with the key's type. */
  async publicKey(username: string, key: ssh.KeyPair): Promise<Outcome> {
    const algorithm = this.config.publicKeyAlgorithms.find((item) => item?.keyAlgorithmName === key.keyAlgorithmName);
    if (!algorithm) throw new Error(`this browser can't use keys of the type ${key.keyAlgorithmName}`);
    const publicKey = await key.getPublicKeyBytes(algorithm.name);
    const {sessionId} = internals(this.session);
    if (!publicKey || !sessionId) throw new Error("the session has ended");
    const request = Object.assign(new ssh.PublicKeyRequestMessage(), {
      username, serviceName: CONNECTION, keyAlgorithmName: algorithm.name, publicKey,
    });
    const writer = new ssh.SshDataWriter(Buffer.alloc(1024));
    writer.writeBinary(sessionId);
    writer.writeByte(request.messageType);
    for (const text of [username, CONNECTION, "publickey"]) writer.writeString(text, "utf8");
    writer.writeBoolean(true);
    writer.writeString(algorithm.name, "ascii");
    writer.writeBinary(publicKey);
    const signature = await algorithm.createSigner(key).sign(writer.toBuffer());
    return this.attempt(Object.assign(request, {signature: algorithm.createSignatureData(signature)}));
  }

  interactive(username: string, answer: Answer): Promise<Outcome> {
    return this.attempt(new InteractiveRequest(username), answer);
  }

  private async attempt(request: ssh.AuthenticationRequestMessage, answer: Answer | null = null): Promise<Outcome> {
    if (this.pending) throw new Error("one method is tried at a time");
    const {protocol} = internals(this.session);
    if (!protocol) throw new Error("the session has ended");
    const outcome = new Promise<Outcome>((resolve, reject) => (this.pending = {resolve, reject}));
    this.answer = answer;
    this.answering = false;
    protocol.messageContext = request.methodName ?? null;
    try {
      await internals(this.session).sendMessage(request);
    } catch (error) {
      this.fail(error);
    }
    return outcome;
  }

  private receive(message: ssh.SshMessage): void {
    if (message instanceof BannerMessage) this.showBanner(message.text);
    else if (message instanceof ssh.AuthenticationSuccessMessage) this.succeed();
    else if (message instanceof ssh.AuthenticationFailureMessage) {
      this.settle({done: false, methods: message.methodNames ?? [], partial: message.partialSuccess});
    } else if (message instanceof InfoRequest && this.answer) {
      if (this.answering) return this.fail(new Error("the server asked again before it had an answer"));
      this.answering = true;
      // Not awaited: the user may take long, and the session has to notice its end meanwhile.
      this.respond(message, this.answer).catch((error: unknown) => this.fail(error));
    }
  }

  private async respond(request: InfoRequest, answer: Answer): Promise<void> {
    // Some servers ask no question at the end, only to show a text.
    const answers = await answer(request);
    this.answering = false;
    if (answers) await internals(this.session).sendMessage(new InfoResponse(answers));
    else this.fail(new Error("signing in was cancelled"));
  }

  private succeed(): void {
    internals(this.session).activateService(CONNECTION);
    this.settle({done: true});
  }

  private settle(outcome: Outcome): void {
    const {pending} = this;
    this.pending = this.answer = null;
    pending?.resolve(outcome);
  }

  private fail(error: unknown): void {
    const {pending} = this;
    this.pending = this.answer = null;
    pending?.reject(error);
  }
}
