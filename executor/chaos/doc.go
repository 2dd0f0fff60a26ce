// Package chaos breaks a whole Cyclops, client, link, daemon and supervisors as real processes, at
// every named step and at random, and asks after each fault whether what was promised still holds.
// The breaking is a test with the tag "failpoints": make chaos. docs/reliability.md says what is promised.
package chaos
