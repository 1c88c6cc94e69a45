/**
 * The private members of dev-tunnels-ssh 3.12.42 that the mends replace or call.
 *
 * They can change in any release: the version is pinned, and test/ssh_mends.test.mjs and the tests against sshd
 * fail if one of them does.
 */

import type * as ssh from "@microsoft/dev-tunnels-ssh";
import type {Buffer} from "buffer";

/** An exchange of keys, as the library's algorithms make it. */
export interface Exchange extends ssh.KeyExchange {
  /** Whether the exchange hash takes the public values as they are, and not as mpints. */
  readonly rawValues?: boolean;
}

export interface KeyExchangeInternals {
  readonly exchanging: boolean;
  readonly exchangeContext: {clientKexInitPayload: Buffer; serverKexInitPayload: Buffer};
  readonly hostKey: ssh.KeyPair | undefined;
  startKeyExchange(initial: boolean): Promise<[ssh.SshMessage, ssh.SshMessage | null]>;
  handleInitMessage(message: ssh.SshMessage, cancellation?: ssh.CancellationToken): Promise<void>;
  handleDhReplyMessage(message: ssh.SshMessage, cancellation?: ssh.CancellationToken): Promise<void>;
  computeExchangeHash(exchange: Exchange, hostKey: Buffer, ours: Buffer, theirs: Buffer, secret: Buffer): Promise<Buffer>;
}

export interface ProtocolInternals {
  readonly inboundFlow: number;
  readonly outboundFlow: number;
  /** Distinguishes the messages of number 60 and 61. */
  messageContext: string | null;
  considerReExchange(initial: boolean, cancellation?: ssh.CancellationToken): Promise<void>;
}

export interface SessionInternals {
  readonly algorithms: {readonly publicKeyAlgorithmName?: string} | null;
  readonly kexService: KeyExchangeInternals;
  readonly protocol: ProtocolInternals | undefined;
  readonly remoteVersion: ssh.SshVersionInfo | null;
  readonly sessionId: Buffer | null;
  sendMessage(message: ssh.SshMessage, cancellation?: ssh.CancellationToken): Promise<void>;
  requestService(name: string): Promise<void>;
  activateService(name: string): ServiceInternals | null;
}

export interface ServiceInternals {
  handleMessage(message: ssh.SshMessage): void | Promise<void>;
}

export const internals = (session: ssh.SshClientSession): SessionInternals => session as unknown as SessionInternals;
