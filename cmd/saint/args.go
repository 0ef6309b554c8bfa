package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/suggest"
)

// commandLine is a command line taken apart. The command line library wants flags before
// positional arguments, knows no dashes for underscores, and names no nearest flag; so its
// input is checked and put in order here.
type commandLine struct {
	app        *cli.App
	cmd        *cli.Command // nil until one is named
	path       []string     // names of the commands so far
	flags      []string
	positional []string
	help       bool
	version    bool
}

// normalize checks args and returns them in the order in which the library wants them.
func normalize(app *cli.App, args []string) ([]string, error) {
	if len(args) == 0 {
		args = []string{app.Name}
	}
	l := commandLine{app: app}
	if err := l.parse(args[1:]); err != nil {
		return nil, err
	}
	out := append([]string{args[0]}, l.path...)
	switch {
	case l.help || l.cmd == nil && !l.version || l.cmd != nil && len(l.cmd.Subcommands) > 0:
		return append(out, "--help"), nil
	case l.version:
		return append([]string{args[0], "version"}, l.flags...), nil
	}
	out = append(out, l.flags...)
	if len(l.positional) > 0 {
		out = append(append(out, "--"), l.positional...)
	}
	return out, nil
}

func (l *commandLine) parse(rest []string) error {
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "--" && l.leaf():
			l.positional = append(l.positional, rest...)
			return nil
		case len(arg) > 1 && arg[0] == '-':
			used, err := l.flag(arg, rest)
			if err != nil {
				return err
			}
			rest = rest[used:]
		case l.leaf():
			l.positional = append(l.positional, arg)
		default:
			if err := l.command(arg); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaf reports whether the command is named, so that words are its arguments.
func (l *commandLine) leaf() bool { return l.cmd != nil && len(l.cmd.Subcommands) == 0 }

func (l *commandLine) command(name string) error {
	known := l.app.Commands
	if l.cmd != nil {
		known = l.cmd.Subcommands
	} else if name == "help" || name == "h" {
		l.help = true
		return nil
	}
	var names []string
	for _, c := range known {
		if c.HasName(name) {
			l.cmd, l.path = c, append(l.path, c.Name)
			return nil
		}
		names = append(names, c.Name)
	}
	return usagef("unknown command %q%s; there is %s", strings.Join(append(l.path, name), " "), didYouMean("", suggest.Nearest(name, names)), strings.Join(names, ", "))
}

// flag takes one flag and reports how many of the following words belong to it.
func (l *commandLine) flag(arg string, rest []string) (used int, err error) {
	name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	name = strings.ReplaceAll(name, "-", "_")
	switch {
	case name == "help" || name == "h":
		l.help = true
		return 0, nil
	case name == "version" && l.cmd == nil:
		l.version = true
		return 0, nil
	}
	known := commonFlags()
	if l.leaf() {
		known = l.cmd.Flags
	}
	f := findFlag(known, name)
	if f == nil {
		return 0, l.unknownFlag(strings.SplitN(arg, "=", 2)[0], name, known)
	}
	if _, isBool := f.(*cli.BoolFlag); isBool {
		if !hasValue {
			value = "true"
		}
	} else if !hasValue {
		if len(rest) == 0 {
			return 0, usagef("--%s needs a value", name)
		}
		value, used = rest[0], 1
		if next, _, _ := strings.Cut(strings.TrimPrefix(value, "--"), "="); strings.HasPrefix(value, "--") && findFlag(known, strings.ReplaceAll(next, "-", "_")) != nil {
			return 0, usagef("--%s needs a value, got the flag %s", name, value)
		}
	}
	if value == "" { // an unset variable must not mean the default
		return 0, usagef("--%s needs a value", name)
	}
	if want := checkValue(f, value); want != "" {
		return 0, usagef("--%s is %q, want %s", name, value, want)
	}
	if given := "--gpu="; name == "gpu" && slices.ContainsFunc(l.flags, func(f string) bool { return strings.HasPrefix(f, given) }) {
		return 0, usagef("--gpu is given twice; several GPUs are joined by commas: --gpu 0,1")
	}
	l.flags = append(l.flags, "--"+name+"="+value)
	return used, nil
}

func (l *commandLine) unknownFlag(arg, name string, known []cli.Flag) error {
	if !l.leaf() {
		return usagef("unknown flag %s in front of a command: the flags of a command stand behind its name; 'saint --help' lists the commands", arg)
	}
	var names []string
	for _, f := range known {
		names = append(names, f.Names()...)
	}
	command := "saint " + strings.Join(l.path, " ")
	return usagef("unknown flag %s%s; '%s --help' lists the flags", arg, didYouMean("--", suggest.Nearest(name, names)), command)
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

// checkValue returns what a flag wants if value is not that, else "".
func checkValue(f cli.Flag, value string) string {
	var err error
	want := ""
	switch f.(type) {
	case *cli.BoolFlag:
		_, err = strconv.ParseBool(value)
		want = "true or false"
	case *cli.IntFlag:
		_, err = strconv.ParseInt(value, 0, 32)
		want = "a whole number"
	case *cli.Int64Flag:
		_, err = strconv.ParseInt(value, 0, 64)
		want = "a whole number"
	case *cli.Float64Flag:
		_, err = strconv.ParseFloat(value, 64)
		want = "a number"
	case *cli.Uint64Flag:
		_, err = strconv.ParseUint(value, 0, 64)
		want = "a whole number that is not negative"
	case *cli.DurationFlag:
		_, err = time.ParseDuration(value)
		want = "a duration such as 90s, 5m or 1h30m"
	}
	if errors.Is(err, strconv.ErrRange) {
		return "a smaller number"
	}
	if err != nil {
		return want
	}
	return ""
}
