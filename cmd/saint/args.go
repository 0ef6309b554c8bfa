package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// normalize lets flags stand behind positional arguments and dashes stand for the
// underscores of flag names, which the command line library knows nothing of. Unknown flags
// are an error here, where the nearest known one can be named.
func normalize(app *cli.App, args []string) ([]string, error) {
	if len(args) == 0 {
		return args, nil
	}
	out := []string{args[0]}
	rest := args[1:]
	commands := app.Commands
	var cmd *cli.Command
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		next := find(commands, rest[0])
		if next == nil {
			break
		}
		cmd = next
		out, rest, commands = append(out, rest[0]), rest[1:], next.Subcommands
	}
	if cmd == nil || len(cmd.Subcommands) > 0 {
		return append(out, rest...), nil
	}
	var flags, positional []string
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		if arg == "--" {
			positional = append(positional, rest[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			positional = append(positional, arg)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		name = strings.ReplaceAll(name, "-", "_")
		if name == "help" || name == "h" {
			return append(out, "--help"), nil
		}
		takesValue, known := lookup(cmd, name)
		if !known {
			return nil, usagef("unknown flag %q of 'saint %s'%s; 'saint %s --help' lists them", arg, strings.Join(out[1:], " "), similar(cmd, name), strings.Join(out[1:], " "))
		}
		switch {
		case hasValue:
			flags = append(flags, "--"+name+"="+value)
		case !takesValue:
			flags = append(flags, "--"+name)
		case i+1 == len(rest):
			return nil, usagef("flag --%s needs a value", name)
		default:
			i++
			flags = append(flags, "--"+name+"="+rest[i])
		}
	}
	out = append(out, flags...)
	if len(positional) > 0 {
		out = append(append(out, "--"), positional...)
	}
	return out, nil
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// lookup reports whether a command has a flag and whether the flag takes a value.
func lookup(c *cli.Command, name string) (takesValue, known bool) {
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			if n == name {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool, true
			}
		}
	}
	return false, false
}

// similar suggests flags that share the beginning or contain the word.
func similar(c *cli.Command, name string) string {
	best, shared := "", 2
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			k := 0
			for k < len(n) && k < len(name) && n[k] == name[k] {
				k++
			}
			if k > shared {
				best, shared = n, k
			}
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean --" + best + "?"
}
