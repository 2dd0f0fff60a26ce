//go:build linux && race

package main

// raceFlag builds the programs that scripts run the way the tests themselves are built.
var raceFlag = []string{"-race"}
