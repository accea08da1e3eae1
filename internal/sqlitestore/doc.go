// Package sqlitestore implements SpiceDB's datastore on a SQLite file: durable storage without a database server.
//
// It stores each relationship twice, sorted by resource and by subject, so that each query of SpiceDB reads a few
// adjacent rows. A write moves the relationships that it replaces or deletes to a history. There, reads at an older
// revision find these relationships until the garbage collection removes them. Each write appends to a change log,
// which Watch reads. Only one writer runs at a time. Readers do not wait for it, since SQLite uses a write-ahead log.
package sqlitestore
