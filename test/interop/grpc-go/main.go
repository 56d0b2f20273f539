// Makes calls one after another on one connection, as fast as they go.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	calls, _ := strconv.Atoi(os.Args[2])
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	failed := 0
	began := time.Now()
	for i := 0; i < calls; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := conn.Invoke(ctx, os.Args[3], &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
			failed++
			if failed <= 5 {
				fmt.Println(err)
			}
		}
		cancel()
	}
	fmt.Printf("%d of %d calls failed in %v\n", failed, calls, time.Since(began))
	if failed > 0 {
		os.Exit(1)
	}
}
