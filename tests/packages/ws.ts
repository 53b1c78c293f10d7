export { WebSocketServer } from "npm:ws@8.23.0";
