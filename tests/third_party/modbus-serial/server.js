// A Modbus TCP server of another make: node server.js PORT, unit 1, 400 of everything.
"use strict";

const { ServerTCP } = require("modbus-serial");

const SIZE = 400;
const ILLEGAL_ADDRESS = 2;
const words = new Uint16Array(SIZE);
const inputs = new Uint16Array(SIZE);
const coils = new Uint8Array(SIZE);

function at(area, address) {
  if (address >= SIZE) {
    throw { modbusErrorCode: ILLEGAL_ADDRESS, msg: "no such address" };
  }
  return area[address];
}

function put(area, address, value) {
  at(area, address);
  area[address] = value;
}

// The input registers hold their own addresses: nothing else could put values there.
inputs.forEach((_, address) => { inputs[address] = address; });

const device = {
  getHoldingRegister: (address) => at(words, address),
  getInputRegister: (address) => at(inputs, address),
  getCoil: (address) => at(coils, address) !== 0,
  getDiscreteInput: (address) => address % 2 === 1,
  setRegister: (address, value) => put(words, address, value),
  setCoil: (address, value) => put(coils, address, value),
};

const server = new ServerTCP(device, { host: "127.0.0.1", port: Number(process.argv[2]), unitID: 1 });
server.on("initialized", () => console.log("listening"));
server.on("socketError", () => {});
