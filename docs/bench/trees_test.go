//go:build bench && linux

package bench

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func measureTrue(l *lab) []Row {
	dir := l.tree("small", 20, 20)
	ours := func() float64 { return l.time(l.cyclops(dir, "run", "--", "true")) }
	coldly := func() float64 { l.cold(); return ours() }
	ssh := func(options ...string) func() float64 {
		return func() float64 { return l.time(l.command(l.ssh(options...), l.server.Name, "true")) }
	}
	master := func() float64 { return l.time(l.command(l.master(), l.server.Name, "true")) }
	return []Row{
		pairs(n(15), Row{Work: "`run -- true`, cold", Against: "`ssh host true`", Aim: "≤ 0.35"}, coldly, ssh()),
		pairs(n(15), Row{Work: "`run -- true`, cold", Against: "`ssh -o KexAlgorithms=curve25519-sha256 host true`", Aim: "≤ 0.6"}, coldly, ssh("-o", "KexAlgorithms=curve25519-sha256")),
		pairs(n(40), Row{Work: "`run -- true`, open link", Against: "`ssh host true` through a ControlMaster", Aim: "≤ 1.0"}, ours, master),
	}
}

// measureTree takes a tree of many small files, both sides over open connections.
func measureTree(l *lab) []Row {
	files := n(100_000)
	dir := l.tree("tree", files, 1000)
	name := fmt.Sprintf("tree of %d files, ", files)
	ours := func() float64 { return l.time(l.cyclops(dir, "run", "--", "true")) }
	theirs := func() float64 { return l.time(l.rsync(l.master(), dir+"/", l.server.Name+":"+l.there("copy"))) }
	edited := 0
	edit := func() {
		edited++
		l.write(fmt.Sprintf("tree/d%04d/f%04d.v", edited%1000, 1), fmt.Sprintf("// edit %d at %s\n", edited, time.Now()))
	}
	l.prepare(l.command(l.master(), l.server.Name, "true"))
	first := cold(1, Row{Work: name + "first time, whole run", Against: "`rsync -a`, no job", Aim: "≤ 0.5"}, ours, theirs)
	return []Row{
		first,
		pairs(n(7), Row{Work: name + "unchanged, whole run", Against: "`rsync -a`, no job", Aim: "≤ 0.35"}, ours, theirs),
		pairs(n(7), Row{Work: name + "one file changed, whole run", Against: "`rsync -a`, no job", Aim: "≤ 0.35"},
			func() float64 { edit(); return ours() }, theirs),
	}
}

// measureReal ships Go's own tree, three times for the first time: under other names, with a line
// more in each file, since content that a host has does not travel again.
func measureReal(l *lab) []Row {
	var ours, rsync, tar []float64
	files, bytes := 0, int64(0)
	for i := range n(3) {
		dir := l.mkdir(fmt.Sprintf("real%d", i))
		files, bytes = l.copyGo(dir, i)
		copied := l.there(fmt.Sprintf("real%d", i))
		ours = append(ours, l.time(l.cyclops(dir, "run", "--", "true")))
		rsync = append(rsync, l.time(l.rsync(l.ssh(), dir+"/", l.server.Name+":"+copied)))
		pipe := fmt.Sprintf("tar -C %s -cf - . | %s 'mkdir %s.tar && tar -C %s.tar -xf -'", dir, strings.Join(l.ssh(l.server.Name), " "), copied, copied)
		tar = append(tar, l.time(exec.Command("sh", "-c", pipe)))
	}
	name := fmt.Sprintf("Go's source, %d files, %d MB, first time, whole run", files, bytes/1_000_000)
	return []Row{
		{Work: name, Against: "`rsync -a`, no job", Aim: "≤ 0.6 of the better", Ours: ours, Theirs: rsync},
		{Work: name, Against: "`tar \\| ssh`, no job", Aim: "≤ 0.6 of the better", Ours: ours, Theirs: tar},
	}
}

func (l *lab) copyGo(dir string, round int) (files int, bytes int64) {
	root := strings.TrimSpace(string(l.prepare(exec.Command("go", "env", "GOROOT"))))
	for _, part := range []string{"src", "test", "pkg/tool"} {
		if _, err := os.Stat(filepath.Join(root, part)); err == nil {
			l.prepare(exec.Command("mkdir", "-p", filepath.Join(dir, filepath.Dir(part))))
			l.prepare(exec.Command("cp", "-r", filepath.Join(root, part), filepath.Join(dir, part)))
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		bytes += int64(len(data))
		if err != nil || round == 0 {
			return err
		}
		return os.WriteFile(path, append(data, fmt.Sprintf("// %d\n", round)...), 0o644)
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return files, bytes
}

// tree makes files of 200 to 2,200 bytes in dirs directories.
func (l *lab) tree(name string, files, dirs int) string {
	line := "assign y = (a & b) ^ %d; // %d\n"
	for i := range files {
		text := strings.Repeat(fmt.Sprintf(line, i, i*i), 6+i%60)
		l.write(fmt.Sprintf("%s/d%04d/f%04d.v", name, i%dirs, i/dirs), text)
	}
	return filepath.Join(l.dir, name)
}
