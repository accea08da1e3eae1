// Package sqlitestore is SpiceDB's datastore interface on a SQLite file: a SpiceDB that loses nothing, in one process,
// without a database server.
//
// All relationships are held twice, sorted by resource and by subject, so that each question that SpiceDB asks is a look at
// a few neighbouring rows. What a write replaces or deletes moves to a history, in which reads at an older revision find
// it, until it is older than the garbage-collection window. Each write leaves an entry in a log of changes, which Watch
// reads. Writers take turns; readers wait for nobody (write-ahead log).
package sqlitestore
