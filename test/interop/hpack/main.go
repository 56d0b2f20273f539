// Command hpack encodes and decodes header blocks with golang.org/x/net/http2/hpack, for one
// connection in each direction. Each line of standard input is a request in JSON, each line of
// standard output its response.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/net/http2/hpack"
)

type request struct {
	// Decode is a block in hexadecimal.
	Decode string
	// Encode is a header list.
	Encode [][2]string
	// TableBytes is a new size of the encoder's table, if it is not negative.
	TableBytes int
}

type response struct {
	Fields [][2]string
	Block  string
	Error  string
}

func main() {
	decoder := hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	output := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var given response
		if asked.Decode != "" {
			encoded, err := hex.DecodeString(asked.Decode)
			var fields []hpack.HeaderField
			if err == nil {
				fields, err = decoder.DecodeFull(encoded)
			}
			if err != nil {
				given.Error = err.Error()
			}
			for _, field := range fields {
				given.Fields = append(given.Fields, [2]string{field.Name, field.Value})
			}
		} else {
			block.Reset()
			if asked.TableBytes >= 0 {
				encoder.SetMaxDynamicTableSize(uint32(asked.TableBytes))
			}
			for _, field := range asked.Encode {
				sensitive := field[0] == "authorization"
				encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: sensitive})
			}
			given.Block = hex.EncodeToString(block.Bytes())
		}
		output.Encode(given)
	}
}
