//go:build linux

package main

import "strings"

// corpusCase is a command that must look the same through ssh and through cyclops run.
type corpusCase struct {
	argv  []string
	stdin string
	code  int    // what cyclops exits with where ssh, which knows no signals, says 255
	after string // what cyclops ends the screen's line with, as a shell does after Ctrl-C, and ssh does not
}

// sh is a case for a shell's line.
func sh(line string) corpusCase { return corpusCase{argv: []string{"sh", "-c", line}} }

func shIn(line, stdin string) corpusCase {
	return corpusCase{argv: []string{"sh", "-c", line}, stdin: stdin}
}

func cmd(argv ...string) corpusCase { return corpusCase{argv: argv} }

// killed is a case that ends by signal n: ssh says 255, we say 128+n.
func killed(line string, n int) corpusCase {
	return corpusCase{argv: []string{"sh", "-c", line}, code: 128 + n}
}

var corpus = []corpusCase{
	// exit codes
	cmd("true"), cmd("false"), sh("exit 2"), sh("exit 42"), sh("exit 125"), sh("exit 126"), sh("exit 127"), sh("exit 254"), sh("exit 255"),
	sh("exit 256"), sh("false || exit 7"), sh("set -e; false; echo not reached"),
	sh("exit 1"), sh("exit 64"), sh("exit 128"), sh("exit 130"), sh("exit 143"), sh("(exit 3) || exit 4"), sh("f() { return 6; }; f; exit $?"),
	// deaths by signal
	killed("kill -INT $$", 2), killed("kill -TERM $$", 15), killed("kill -KILL $$", 9), killed("kill -HUP $$", 1), killed("kill -PIPE $$", 13),
	killed("kill -ABRT $$", 6), killed("kill -SEGV $$", 11), killed("kill -USR1 $$", 10),
	killed("kill -QUIT $$", 3), killed("kill -ALRM $$", 14), killed("kill -USR2 $$", 12), killed("echo last words; kill -KILL $$", 9),
	sh("sh -c 'kill -TERM $$'; echo survived $?"), sh("trap 'echo caught; exit 3' TERM; kill -TERM $$"), sh("kill -0 $$ && echo alive"),
	// arguments as they are
	cmd("printf", "%s|", "a b", "", "*", "$HOME", "`id`", "\\", "\"", "'", "~", "a\tb", "a\nb", "-n", "--"),
	cmd("printf", "%s|", "µ", "日本語", "\xff\xfe"), cmd("echo", "-e", "\\x41"), cmd("test", "", "=", ""), cmd("expr", "6", "*", "7"),
	cmd("seq", "1", "5"), cmd("basename", "/a/b c"), cmd("env", "-i", "A=1", "B=x y", "env"),
	cmd("printf", "%s|", "a;b&&c||d>e<f(g){h}[i]#j!k%l^m"), cmd("printf", "%s", strings.Repeat("long ", 16_000)), cmd("sh", "-c", "echo $0 $# $@", "zero", "one", "two  three"),
	cmd("echo", "--help"), cmd("/bin/echo", "absolute"), cmd("nice", "-n", "1", "echo", "nice"), cmd("env", "printf", "%s", "${x}"),
	// streams apart, in any amount
	sh("echo out; echo err >&2"), sh("echo err >&2; exit 3"), sh("printf no-newline"), sh("printf no-newline >&2"), sh("printf ''"),
	sh("seq 1 20000"), sh("seq 1 20000 >&2"), sh("seq 1 5000; seq 1 5000 >&2; seq 1 5000"), sh("head -c 3000000 /dev/zero"),
	sh("head -c 100000 /dev/zero | tr '\\0' x"), sh("printf 'a\\0b\\r\\n\\033[31mred\\033[0m\\a'"), sh("printf '\\377\\376\\200'"),
	sh("i=0; while [ $i -lt 300 ]; do echo $i; echo $i >&2; i=$((i+1)); done"), sh("exec >&-; echo lost"), sh("exec 2>&-; ls /nonexistent; echo $?"),
	sh("printf x"), sh("head -c 65536 /dev/zero"), sh("head -c 65537 /dev/zero"), sh("head -c 262145 /dev/zero"), sh("printf '\\n\\n\\n'"), sh("printf '\\r50%%\\r100%%\\n'"),
	sh("echo a; exec 1>&2; echo b"), sh("exec 3>&1; echo three >&3"), sh("(echo a; echo b >&2) 2>&1"), sh("seq 1 3 | tee /dev/stderr"), sh("echo start; sleep 0.3; echo end"),
	sh("seq 1 100 | while read i; do echo $i; done"), sh("i=0; while [ $i -lt 50 ]; do printf x; i=$((i+1)); done"), sh("printf '\\303'; sleep 0.05; printf '\\251\\n'"),
	// standard input
	shIn("cat", "hello\n"), shIn("cat", "no newline"), shIn("cat", ""), shIn("cat", strings.Repeat("0123456789abcdef", 100_000)),
	shIn("wc -c", strings.Repeat("x", 1_000_001)), shIn("head -1", strings.Repeat("line\n", 200_000)), shIn("read a; read b; echo $b $a", "one\ntwo\nthree\n"),
	shIn("exec <&-; echo closed", "unread"), shIn("true", strings.Repeat("unread", 100_000)), shIn("sort -r", "b\na\nc\n"), shIn("tr a-z A-Z", "binary \x00\xff\x1b end"),
	shIn("sha256sum", strings.Repeat("\x00\x01\xfe\xff", 50_000)), shIn("sed -n 2p", "1\n2\n3\n"), shIn("cat >&2", "to stderr"), shIn("md5sum -", "sum\n"),
	shIn("read x; echo got $x; cat", "a\nb\nc"), shIn("dd bs=1 count=3 2>/dev/null", "abcdef"), shIn("cat | cat", "x"), shIn("wc -l", strings.Repeat("l\n", 4000)),
	shIn("sleep 0.2; cat", "late\n"), shIn("exec 0</dev/null; cat; echo nothing", "x"), shIn("cut -d: -f2", "a:b:c\n"), shIn("uniq -c", "a\na\nb\n"), shIn("xargs -n1 echo", "a b c\n"),
	shIn("cksum", strings.Repeat("every byte counts\n", 60_000)),
	// the place
	cmd("pwd"), cmd("cat", "input.txt"), cmd("ls"), cmd("ls", "-a", "sub"), sh("cd sub && pwd"), cmd("./tool.sh", "x y"), sh("cat sub/../input.txt"), sh("test -x tool.sh && test ! -x input.txt"),
	cmd("readlink", "link"), cmd("cat", "link"), sh("ls -d empty"), sh("wc -c <input.txt"),
	sh("cat <link"), cmd("test", "-L", "link"), cmd("wc", "-l", "input.txt"), sh("echo x >new && cat new && rm new"), sh("cd empty && ls -A | wc -l"), cmd("realpath", "--relative-to=.", "sub/nested.txt"),
	// things shells and tools do
	sh("(echo sub; exit 4); echo $?"), sh("yes | head -3"), sh("sleep 0.1 & wait; echo waited"), sh("trap 'echo bye' EXIT; exit 5"), sh("umask 022; umask"),
	sh("echo a | cat | cat | cat"), sh("x=$(echo captured; exit 3); echo $? $x"), sh("test -t 0; echo $?; test -t 1; echo $?; test -t 2; echo $?"), sh("ulimit -c 0; ulimit -c"),
	sh("cat /dev/null"), sh("exec sh -c 'exit 9'"), sh("ls /nonexistent"), sh("nohup true 2>/dev/null"), sh("echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three"),
	sh("mkdir -p out/deep && echo made >out/deep/f && cat out/deep/f"), cmd("awk", "BEGIN { for (i = 0; i < 3; i++) print i > \"/dev/stderr\"; exit 6 }"), cmd("grep", "-c", "l", "input.txt"), cmd("grep", "zzz", "input.txt"),
	cmd("make", "-s", "-f", "Makefile", "hello"), cmd("make", "-s", "-f", "Makefile", "fails"), cmd("find", ".", "-name", "*.txt"), cmd("od", "-c", "input.txt"), cmd("diff", "input.txt", "other.txt"), cmd("timeout", "0.2", "sleep", "5"),
	cmd("tar", "cf", "-", "--mtime=@0", "sub"), cmd("gzip", "-nc", "input.txt"), cmd("sort", "-c", "input.txt"), cmd("cksum", "input.txt"), cmd("dirname", "/a/b"), sh("cat <<E\nhere\nE"),
	sh("sh -c 'kill -KILL $$'; echo $?"), sh("command -v sh"), sh("echo ${PATH:+a path} ${HOME:+a home}"),
}

// onTerminal are cases that only a terminal makes interesting.
var onTerminal = []corpusCase{
	sh("stty size"), sh("stty -a"), sh("test -t 0 && test -t 1 && test -t 2 && echo a terminal"), sh("echo $TERM"), sh("tput cols; tput lines; tput setaf 1"),
	sh("tty | tr -d 0-9"), sh("ps -o tty= -p $$ | tr -d 0-9"), sh("printf 'a\\nb\\n'"), sh("printf 'out\\n'; printf 'err\\n' >&2"), sh("stty -onlcr; printf 'a\\nb\\n'"),
	sh("printf '\\033[?1h\\033=\\033[?1l\\033>'"), sh("echo before >/dev/tty"), sh("head -c 200000 /dev/zero | tr '\\0' x"),
	typed("@; read x; echo \"<$x>\"", "hello\n"), typed("@; read x; echo \"<$x>\"", "wrogn\x7f\x7fng\n"), typed("@; read x; echo \"<$x>\"", "gone\x15kept\n"), typed("@; cat", "line\n\x04"), typed("@; cat", "no newline\x04\x04"),
	typed("stty -echo; @; read x; stty echo; echo \"<$x>\"", "secret\n"), typed("stty raw -echo; @; dd bs=1 count=3 2>/dev/null; stty sane", "\x03\x04\x1a"),
	typed("trap 'echo interrupted; exit 9' INT; @; read x", "\x03"), typed("trap 'echo quit; exit 8' QUIT; @; read x", "\x1c"),
	{argv: typed("@; exec sleep 30", "").argv, stdin: "\x03", code: 130, after: "\r\n"},
}

// typed is a case whose input is typed once it has said, at @, that it is ready.
func typed(line, keys string) corpusCase {
	return corpusCase{argv: []string{"sh", "-c", strings.Replace(line, "@", "printf 'ready\\r\\n'", 1)}, stdin: keys}
}
