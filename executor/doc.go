// Package executor is the host's half of Cyclops as a program: the verbs of cyclopsd, which
// cyclops carries too.
package executor
