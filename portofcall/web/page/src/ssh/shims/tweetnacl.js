// bcrypt-pbkdf takes one function of tweetnacl: SHA-512, which is here already.
import {sha512} from "@noble/hashes/sha2.js";
export const lowlevel = {crypto_hash: (out, data, length) => void out.set(sha512(data.subarray(0, length)))};
