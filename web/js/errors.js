export * from "../sdk/errors.js";
