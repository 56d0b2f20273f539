// Makes calls with per-RPC credentials: call-credentials ADDRESS CA CALLS. Each call has one empty request. Writes the
// code of each as a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

type call struct {
	Name  string
	Path  string
	Kind  string
	Token string
}

type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

func run(conn *grpc.ClientConn, it call) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	streams := it.Kind == "client_streaming" || it.Kind == "bidi_streaming"
	returnsStream := it.Kind == "server_streaming" || it.Kind == "bidi_streaming"
	if !streams && !returnsStream {
		return conn.Invoke(ctx, it.Path, &emptypb.Empty{}, &emptypb.Empty{})
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: streams, ServerStreams: returnsStream}, it.Path)
	if err != nil {
		return err
	}
	// A refused stream may have ended before; RecvMsg has its code.
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if err := stream.RecvMsg(&emptypb.Empty{}); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !returnsStream {
			return nil
		}
	}
}

// The names of the codes in the specification of gRPC.
var names = map[codes.Code]string{
	codes.OK:               "OK",
	codes.Unauthenticated:  "UNAUTHENTICATED",
	codes.PermissionDenied: "PERMISSION_DENIED",
}

func main() {
	tls, err := credentials.NewClientTLSFromFile(os.Args[2], "")
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(os.Args[3])
	if err != nil {
		panic(err)
	}
	var calls []call
	if err := json.Unmarshal(text, &calls); err != nil {
		panic(err)
	}
	for _, it := range calls {
		options := []grpc.DialOption{grpc.WithTransportCredentials(tls)}
		if it.Token != "" {
			options = append(options, grpc.WithPerRPCCredentials(bearer(it.Token)))
		}
		conn, err := grpc.NewClient(os.Args[1], options...)
		if err != nil {
			panic(err)
		}
		err = run(conn, it)
		code, known := names[status.Code(err)]
		if !known {
			code = err.Error()
		}
		line, _ := json.Marshal(map[string]string{"name": it.Name, "code": code})
		fmt.Println(string(line))
		conn.Close()
	}
}
