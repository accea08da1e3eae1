// Package spicedb implements authz.Engine on SpiceDB: on an embedded one in this process (Embedded), or on a remote
// server or cluster (Remote). Both use a Client of SpiceDB's gRPC API. Only this package knows how SpiceDB encodes ids,
// consistency and errors.
package spicedb
