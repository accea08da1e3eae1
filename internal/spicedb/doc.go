// Package spicedb is the authz.Engine on SpiceDB: one that runs in this process (Embedded), or a server or cluster
// elsewhere (Remote). Both are a Client of SpiceDB's gRPC API; this package alone knows how ids, consistency and errors
// look there.
package spicedb
