/** One SSH connection, in a tunnel: the gateway carries its ciphertext, and nothing else. */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import type {Tunnel} from "../client/portofcall.js";
import {configuration, explainNegotiation} from "./algorithms.ts";
import {Authentication} from "./authentication.ts";
import {Channel} from "./channel.ts";
import {hostKey, type HostKey} from "./host_key.ts";
import {mendExchangeHash} from "./mends/curve25519.ts";
import {internals} from "./mends/internals.ts";
import {mendClientRekey, mendServerRekey} from "./mends/rekey.ts";
import {TunnelStream} from "./transport.ts";

/** So often a server that says nothing is asked whether it is there. */
const KEEP_ALIVE_SECONDS = 15;
/** After this many unanswered questions the session is over. */
const MOST_UNANSWERED = 3;

/** The first key exchange takes two round trips, and some computing. */
const EXCHANGE_SECONDS = 60;

export interface ConnectionOptions {
  /** Types of the server's host keys that are known, which are asked for first. */
  readonly knownTypes?: readonly string[];
  /** Whether the server may be trusted. Nothing about the user is sent before it says yes. */
  readonly trust: (key: HostKey) => Promise<boolean>;
  readonly keepAliveSeconds?: number;
  /** After this many bytes the keys are changed. */
  readonly rekeyBytes?: number;
}

/** The user did not accept the host key. */
export class NotTrusted extends Error {}

export class Connection {
  /** Fulfilled with a sentence when the connection has ended; empty if this side ended it. */
  readonly closed: Promise<string>;
  private ending = false;

  private constructor(
    private readonly session: ssh.SshClientSession,
    private readonly config: ssh.SshSessionConfiguration,
    private readonly stream: TunnelStream,
  ) {
    this.closed = new Promise((resolve) => {
      session.onClosed(({message}) => resolve(this.ending ? "" : message));
    });
  }

  /**
   * Exchange keys, and let the host key be judged.
   *
   * @throws NotTrusted it was not accepted.
   * @throws unknown what the tunnel failed with, or an Error in words.
   */
  static async open(tunnel: Tunnel, options: ConnectionOptions): Promise<Connection> {
    const config = await configuration(options.knownTypes);
    const stream = new TunnelStream(tunnel);
    const session = new ssh.SshClientSession(config);
    const connection = new Connection(session, config, stream);
    mendExchangeHash(session);
    mendServerRekey(session);
    session.onChannelOpening((event) => {
      // Nothing is forwarded, so a server has none to open; the library would take any number.
      if (event.isRemoteRequest) event.failureReason = ssh.SshChannelOpenFailureReason.administrativelyProhibited;
    });
    const deadline = setTimeout(() => {
      stream.failure ??= new Error(`the server did not exchange keys within ${EXCHANGE_SECONDS} seconds`);
      stream.dispose();
    }, EXCHANGE_SECONDS * 1000);
    try {
      await session.connect(stream);
      clearTimeout(deadline);
      mendClientRekey(session, options.rekeyBytes);
      session.onAuthenticating((event) => {
        event.authenticationPromise = connection.judge(event.publicKey, options.trust);
      });
      if (!(await session.authenticateServer())) throw new NotTrusted("the host key was not accepted");
      connection.keepAlive(options.keepAliveSeconds ?? KEEP_ALIVE_SECONDS);
      return connection;
    } catch (error) {
      clearTimeout(deadline);
      session.dispose();
      stream.dispose();
      throw connection.explain(error);
    }
  }

  /** Begin to sign in. */
  authentication(showBanner: (text: string) => void): Promise<Authentication> {
    return Authentication.begin(this.session, this.config, showBanner);
  }

  async channel(): Promise<Channel> {
    return new Channel(await this.session.openChannel());
  }

  /** The algorithms in use, for those who want to see them. */
  get algorithms(): string {
    return internals(this.session).algorithms?.publicKeyAlgorithmName ?? "";
  }

  /** Why the tunnel failed, if it did. */
  get failure(): unknown {
    return this.stream.failure;
  }

  async close(): Promise<void> {
    this.ending = true;
    await this.session.close(ssh.SshDisconnectReason.byApplication, "closed by the user");
    this.stream.dispose();
  }

  private async judge(key: ssh.KeyPair | null | undefined, trust: ConnectionOptions["trust"]): Promise<object | null> {
    if (!key) return null;
    const gone = this.closed.then((message): never => {
      throw new Error(message);
    });
    return (await Promise.race([trust(await hostKey(key)), gone])) ? {} : null;
  }

  private keepAlive(seconds: number): void {
    this.session.onKeepAliveFailed((unanswered) => {
      if (unanswered < MOST_UNANSWERED) return;
      const message = `the server has not answered for ${seconds * unanswered} seconds`;
      void this.session.close(ssh.SshDisconnectReason.connectionLost, message);
    });
    this.config.keepAliveTimeoutInSeconds = seconds;
  }

  /** Prefer the gateway's words, then those about algorithms. */
  private explain(error: unknown): unknown {
    if (this.stream.failure !== undefined) return this.stream.failure;
    if (!(error instanceof Error) || error instanceof NotTrusted) return error;
    return new Error(explainNegotiation(error.message) ?? error.message);
  }
}
