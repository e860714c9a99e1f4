// A PLC of another make: node-opcua's server with a few variables, and security as asked for.
// Usage: node server.js PORT FOLDER; says "serving" once it listens.
"use strict";

const path = require("node:path");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { SecurityPolicy } = require("node-opcua-secure-channel");
const { OPCUAServer } = require("node-opcua-server");
const { MessageSecurityMode } = require("node-opcua-service-secure-channel");
const { StatusCodes } = require("node-opcua-status-code");
const { DataType, Variant } = require("node-opcua-variant");

const [port, folder] = process.argv.slice(2);

async function main() {
  const manager = (name) =>
    new OPCUACertificateManager({ rootFolder: path.join(folder, name), automaticallyAcceptUnknownCertificate: true });
  const server = new OPCUAServer({
    port: Number(port),
    hostname: "127.0.0.1",
    resourcePath: "/heat/",
    serverCertificateManager: manager("pki"),
    userCertificateManager: manager("users"),
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes256_Sha256_RsaPss],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    userManager: { isValidUser: (name, password) => name === "heatd" && password === "s3cret" },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const own = space.registerNamespace("urn:heatd:test:plc");
  const station = own.addFolder("ObjectsFolder", { browseName: "Station" });
  let setpoint = 20;
  const variable = (name, dataType, get, set) =>
    own.addVariable({
      componentOf: station,
      nodeId: `s=${name}`,
      browseName: name,
      dataType,
      minimumSamplingInterval: 100,
      value: set ? { get: () => new Variant({ dataType, value: get() }), set } : { get: () => new Variant({ dataType, value: get() }) },
    });
  let beat = 0;
  variable("T2g", DataType.Float, () => 45.5);
  variable("HB_PLC", DataType.UInt16, () => (beat = (beat + 1) % 60000));
  variable("SV", DataType.Float, () => setpoint, (given) => {
    setpoint = given.value;
    return StatusCodes.Good;
  });
  await server.start();
  console.log("serving");
}

main();
