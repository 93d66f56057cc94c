// A command that does what its first argument says: the same in Rust, C and Go.
package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	args := append(os.Args[1:], "", "")
	switch argument := args[1]; args[0] {
	case "args":
		print(strings.Join(os.Args[2:], "|"))
	case "env":
		value, found := os.LookupEnv(argument)
		if !found {
			value = "none"
		}
		print(value)
	case "upper":
		upper()
	case "fill":
		os.Stdout.Write(bytes.Repeat([]byte("x"), number(argument)))
	case "files":
		files(argument)
	case "sleep":
		sleep(number(argument))
	case "terminal":
		print(isTerminal(os.Stdin) + " " + isTerminal(os.Stdout))
	case "trap":
		panic("trapped")
	case "exit":
		os.Stderr.WriteString("leaving")
		os.Exit(number(argument))
	default:
		os.Exit(64)
	}
}

func print(text string) {
	os.Stdout.WriteString(text)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

// Each piece as it comes.
func upper() {
	piece := make([]byte, 4096)
	for {
		length, err := os.Stdin.Read(piece)
		os.Stdout.Write(bytes.ToUpper(piece[:length]))
		if err != nil {
			return
		}
	}
}

// Writes, appends, reads, lists, renames and removes below a directory.
func files(directory string) {
	first, second := directory+"/first", directory+"/second"
	check(os.WriteFile(first, []byte("one"), 0o600))
	file, err := os.OpenFile(first, os.O_APPEND|os.O_WRONLY, 0)
	check(err)
	_, err = file.WriteString(" two")
	check(err)
	check(file.Close())
	check(os.Rename(first, second))
	entries, err := os.ReadDir(directory)
	check(err)
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	text, err := os.ReadFile(second)
	check(err)
	print(string(text) + " in " + strings.Join(names, ","))
	check(os.Remove(second))
}

// Beside another goroutine, so that the scheduler has something to do.
func sleep(ms int) {
	start := time.Now()
	done := make(chan bool)
	go func() {
		time.Sleep(time.Duration(ms) * time.Millisecond)
		done <- true
	}()
	<-done
	print(strconv.FormatBool(time.Since(start) >= time.Duration(ms)*time.Millisecond))
}

func isTerminal(file *os.File) string {
	info, err := file.Stat()
	check(err)
	return strconv.FormatBool(info.Mode()&os.ModeCharDevice != 0)
}
