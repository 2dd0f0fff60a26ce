//go:build linux && !race

package main

var raceFlag []string
