/**
 * Puts the web APIs on the global object. The builder's entry imports this before the author's modules,
 * so that they are there when those are evaluated.
 *
 * The engine's own are kept where they follow the standards (atob, btoa, DOMException); Date, Math.random
 * and performance are replaced, because time and chance come from the host.
 */
import {
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  TransformStream,
  TransformStreamDefaultController,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
} from "web-streams-polyfill";
import { AbortController, AbortSignal } from "./web/abort.ts";
import { Blob, File } from "./web/blob.ts";
import { mathRandom } from "./web/chance.ts";
import { performance, wrapDate } from "./web/clock.ts";
import { structuredClone } from "./web/clone.ts";
import { console } from "./web/console.ts";
import { CryptoKey, crypto, SubtleCrypto } from "./web/crypto.ts";
import { CustomEvent, Event, EventTarget } from "./web/event.ts";
import { fetch } from "./web/fetch.ts";
import { FormData } from "./web/form-data.ts";
import { Headers } from "./web/headers.ts";
import { Request } from "./web/request.ts";
import { Response } from "./web/response.ts";
import { TextDecoder, TextDecoderStream, TextEncoder, TextEncoderStream } from "./web/text.ts";
import { clearTimeout, setInterval, setTimeout, wrapQueueMicrotask } from "./web/timer.ts";
import { caches, unavailableClasses } from "./web/unavailable.ts";
import { URL, URLSearchParams } from "./web/url.ts";

const globals: Record<string, unknown> = {
  AbortController,
  AbortSignal,
  Blob,
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
  CryptoKey,
  CustomEvent,
  Date: wrapDate(Date),
  Event,
  EventTarget,
  File,
  FormData,
  Headers,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  Request,
  Response,
  SubtleCrypto,
  TextDecoder,
  TextDecoderStream,
  TextEncoder,
  TextEncoderStream,
  TransformStream,
  TransformStreamDefaultController,
  URL,
  URLSearchParams,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
  caches,
  clearInterval: clearTimeout,
  clearTimeout,
  console,
  crypto,
  fetch,
  navigator: { userAgent: "Cytoplane", hardwareConcurrency: 1, language: "en", languages: ["en"] },
  performance,
  queueMicrotask: wrapQueueMicrotask(queueMicrotask),
  self: globalThis,
  setInterval,
  setTimeout,
  structuredClone,
  ...unavailableClasses(),
};

for (const [name, value] of Object.entries(globals)) {
  Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
}

Object.defineProperty(Math, "random", { value: mathRandom, writable: true, enumerable: false, configurable: true });
