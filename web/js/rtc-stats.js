export * from "../sdk/stats.js";
