//go:build bench && linux

package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// measureFar edits, runs and brings a result back at a round trip of 50 ms, and counts the bytes.
func measureFar(l *lab) []Row {
	dir := l.tree("far", 200, 20)
	relay := startRelay(l, 25*time.Millisecond)
	l.behind(relay)
	edited := 0
	edit := func() {
		edited++
		l.write("far/d0001/f0001.v", fmt.Sprintf("// edit %d\n", edited))
	}
	const build = "cat d*/*.v | cksum >result.rpt"
	ours := func() float64 {
		edit()
		return l.time(l.cyclops(dir, "run", "--output", "result.rpt", "-c", build))
	}
	work, host := l.there("far"), l.server.Name
	theirs := func(ssh []string) func() float64 {
		return func() float64 {
			edit()
			return l.time(l.rsync(ssh, dir+"/", host+":"+work), l.command(ssh, host, "cd "+work+" && "+build),
				l.rsync(ssh, host+":"+work+"/result.rpt", dir+"/"))
		}
	}
	rows := []Row{
		pairs(n(9), Row{Work: "edit → run → result, 200 files, 50 ms", Against: "`rsync && ssh && rsync`"}, ours, theirs(l.ssh())),
		pairs(n(9), Row{Work: "edit → run → result, 200 files, 50 ms", Against: "the same through a ControlMaster", Aim: "≤ 0.12"}, ours, theirs(l.master())),
	}
	count := func(work func() float64) func() float64 {
		return func() float64 {
			before := relay.up.Load()
			work()
			return float64(relay.up.Load() - before)
		}
	}
	still := func() float64 { return l.time(l.cyclops(dir, "run", "--", "true")) }
	sync := func() float64 { return l.time(l.rsync(l.master(), dir+"/", host+":"+work)) }
	return append(rows,
		pairs(n(5), Row{Work: "bytes sent, one file of 200 edited, whole run", Unit: "B", Against: "`rsync && ssh && rsync`, ControlMaster"}, count(ours), count(theirs(l.master()))),
		pairs(n(5), Row{Work: "bytes sent, tree unchanged, whole run", Unit: "B", Against: "`rsync`, no job, ControlMaster"}, count(still), count(sync)))
}

// measureBulk moves what does not compress: one large file each way, many small ones back.
func measureBulk(l *lab) []Row {
	size, host := int64(n(1_000_000_000)), l.server.Name
	name := fmt.Sprintf("%d MB ", size/1_000_000)
	round := byte(0)
	fresh := func() string {
		round++
		dir := l.mkdir(fmt.Sprintf("up%d", round))
		l.fill(filepath.Join(dir, "big.bin"), size, round)
		return dir
	}
	up := cold(n(3), Row{Work: name + "up, whole run", Against: "`scp`, no job", Aim: "≤ 0.4"},
		func() float64 { dir := fresh(); return l.time(l.cyclops(dir, "run", "--", "true")) },
		func() float64 {
			return l.time(l.scp(filepath.Join(l.dir, fmt.Sprintf("up%d", round), "big.bin"), host+":"+l.there("big.bin")))
		})

	dir := l.mkdir("down")
	make1 := fmt.Sprintf("cp %s big.bin; mkdir -p small; i=0; while [ $i -lt 10000 ]; do echo file $i >small/$i.txt; i=$((i+1)); done", l.there("big.bin"))
	l.prepare(l.cyclops(dir, "run", "--bare", "--output", "none", "--name", "down", "-c", make1+"; touch none; cp -r small "+l.there("small")))
	keep := l.mkdir("kept")
	l.write("kept/cyclops.toml", "name = \"kept\"\n[outputs]\nfetch = [\"done\"]\nkeep = [\"big.bin\", \"small/**\"]\n")
	l.prepare(l.cyclops(keep, "run", "--name", "kept", "-c", make1+"; touch done"))
	clean := func(what string) {
		l.prepare(exec.Command("rm", "-rf", filepath.Join(keep, what), filepath.Join(dir, what)))
	}
	return []Row{up,
		pairs(n(3), Row{Work: name + "down, `fetch`", Against: "`scp`", Aim: "≤ 0.4"},
			func() float64 { clean("big.bin"); return l.time(l.cyclops(keep, "fetch", "kept", "big.bin")) },
			func() float64 { clean("big.bin"); return l.time(l.scp(host+":"+l.there("big.bin"), dir)) }),
		pairs(n(5), Row{Work: "10,000 small files down, `fetch`", Against: "`rsync -a`", Aim: "≤ 0.5"},
			func() float64 { clean("small"); return l.time(l.cyclops(keep, "fetch", "kept", "small/**")) },
			func() float64 { clean("small"); return l.time(l.rsync(l.ssh(), host+":"+l.there("small"), dir)) }),
	}
}

func (l *lab) scp(from, to string) *exec.Cmd {
	return exec.Command("scp", "-q", "-F", l.server.ConfigFile, from, to)
}
