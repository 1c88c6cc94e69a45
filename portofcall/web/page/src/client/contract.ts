/** Checked by `tsc`, built into nothing: the module is what its types say. */

import type * as api from "./portofcall.js";
import * as client from "./open.ts";

export const contract: typeof api = client;
