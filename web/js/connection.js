export * from "../sdk/connection.js";
