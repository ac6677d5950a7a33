export * from "../sdk/emitter.js";
