// What an application does with Neon's driver. Arguments: the name of a step below, and its settings as JSON;
// prints the result as JSON.
import {createHash} from "node:crypto";

import {Client, neonConfig, Pool} from "@neondatabase/serverless";
import {drizzle} from "drizzle-orm/neon-serverless";
import {integer, pgTable, text} from "drizzle-orm/pg-core";
import WebSocket from "ws";

const [step, json] = process.argv.slice(2);
const settings = JSON.parse(json);

neonConfig.webSocketConstructor = WebSocket;
neonConfig.useSecureWebSocket = false;
neonConfig.pipelineConnect = settings.pipelineConnect;
neonConfig.wsProxy = settings.address ?? ((host, port) => `${settings.url}host=${host}&port=${port}`);

async function withClient(use) {
  const client = new Client(settings.database);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

const steps = {
  async queries() {
    return await withClient(async (client) => {
      const {rows} = await client.query("select current_user as who, $1::int + 1 as next", [41]);
      let failure;
      await client.query("select 1 / 0").catch((error) => (failure = error.code));
      const {rows: series} = await client.query("select n from generate_series(1, 1000) n");
      return {...rows[0], failure, count: series.length};
    });
  },

  async large() {
    return await withClient(async (client) => {
      const sql = "select md5(n::text) || repeat('x', 1000) as line from generate_series(1, $1::int) n";
      const {rows} = await client.query(sql, [settings.rows]);
      const hash = createHash("md5");
      let size = 0;
      for (const {line} of rows) {
        hash.update(line);
        size += line.length;
      }
      const expected = await client.query(`select md5(string_agg(line, '')) as digest from (${sql}) all_lines`,
                                          [settings.rows]);
      return {size, same: hash.digest("hex") === expected.rows[0].digest};
    });
  },

  async transactions() {
    const pool = new Pool({connectionString: settings.database, max: 3});
    const count = async (client) => (await client.query("select count(*)::int as n from ships")).rows[0].n;
    try {
      await pool.query("create table ships (name text)");
      const [writer, reader] = await Promise.all([pool.connect(), pool.connect()]);
      await writer.query("begin");
      await writer.query("insert into ships values ('Endeavour')");
      const counts = [await count(writer), await count(reader)];
      await writer.query("commit");
      counts.push(await count(reader));
      await writer.query("begin");
      await writer.query("delete from ships");
      await writer.query("rollback");
      counts.push(await count(reader));
      writer.release();
      reader.release();
      const together = await Promise.all([1, 2, 3, 4, 5].map((n) => pool.query("select $1::int as n", [n])));
      return {counts, together: together.map(({rows}) => rows[0].n), opened: pool.totalCount};
    } finally {
      await pool.end();
    }
  },

  async drizzle() {
    const pool = new Pool({connectionString: settings.database});
    const db = drizzle(pool);
    const ports = pgTable("ports", {id: integer().primaryKey(), name: text().notNull()});
    try {
      await db.execute("create table ports (id int primary key, name text not null)");
      await db.transaction(async (all) => {
        await all.insert(ports).values([{id: 1, name: "Genoa"}, {id: 2, name: "Bergen"}]);
      });
      await db.transaction(async (all) => {
        await all.delete(ports);
        all.rollback();
      }).catch(() => undefined);
      return await db.select().from(ports).orderBy(ports.name);
    } finally {
      await pool.end();
    }
  },
};

try {
  console.log(JSON.stringify({result: await steps[step]()}));
} catch (error) {
  console.log(JSON.stringify({error: String(error.message ?? error), name: error.constructor.name}));
}
