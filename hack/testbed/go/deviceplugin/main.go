// The program deviceplugin tells a kubelet that its node has accelerators which do not exist.
//
// It is a real device plugin (kubelet API v1beta1): the kubelet itself counts the devices, hands them out and remembers
// which pod has which. Only what a driver would add, device files and libraries, is missing.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const socketName = "trainpush-fake.sock"

func main() {
	folder := flag.String("folder", api.DevicePluginPath, "the kubelet's folder for device plugins")
	node := flag.String("node", "", "name of the node, from which the devices' UUIDs are made")
	resource := flag.String("resource", "nvidia.com/gpu", "resource to advertise")
	count := flag.Int("count", 8, "number of devices")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	plugin := &plugin{folder: *folder, resource: *resource, devices: devices(*node, *count)}
	for ctx.Err() == nil {
		if err := plugin.serveOneKubelet(ctx); err != nil && ctx.Err() == nil {
			log.Printf("%v; trying again", err)
			pause(ctx, time.Second)
		}
	}
}

// devices returns healthy devices whose UUIDs depend on the node's name and their number alone, so that they outlive
// restarts.
func devices(node string, count int) []*api.Device {
	var all []*api.Device
	for i := range count {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", node, i))
		id := fmt.Sprintf("GPU-%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
		all = append(all, &api.Device{ID: id, Health: api.Healthy})
	}
	return all
}

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}

type plugin struct {
	api.UnimplementedDevicePluginServer
	folder   string
	resource string
	devices  []*api.Device
}

// serveOneKubelet waits for a kubelet, registers with it and serves it until it ends.
//
// A starting kubelet empties the folder of sockets. So the plugin listens only once a kubelet answers, and a broken
// connection is the sign that this kubelet is gone and the plugin's own socket will be soon.
func (p *plugin) serveOneKubelet(ctx context.Context) error {
	kubelet, err := grpc.NewClient("unix://"+filepath.Join(p.folder, "kubelet.sock"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithIdleTimeout(0))
	if err != nil {
		return err
	}
	defer kubelet.Close()
	if err := waitUntilReady(ctx, kubelet); err != nil {
		return err
	}
	server, err := p.listen()
	if err != nil {
		return err
	}
	defer server.Stop()
	request := &api.RegisterRequest{Version: api.Version, Endpoint: socketName, ResourceName: p.resource}
	if _, err := api.NewRegistrationClient(kubelet).Register(ctx, request); err != nil {
		return fmt.Errorf("the kubelet refuses the registration: %w", err)
	}
	log.Printf("registered %d of %s", len(p.devices), p.resource)
	kubelet.WaitForStateChange(ctx, connectivity.Ready)
	return errors.New("the kubelet is gone")
}

func waitUntilReady(ctx context.Context, kubelet *grpc.ClientConn) error {
	kubelet.Connect()
	for state := kubelet.GetState(); state != connectivity.Ready; state = kubelet.GetState() {
		if state == connectivity.TransientFailure {
			return errors.New("no kubelet answers")
		}
		if !kubelet.WaitForStateChange(ctx, state) {
			return ctx.Err()
		}
	}
	return nil
}

func (p *plugin) listen() (*grpc.Server, error) {
	socket := filepath.Join(p.folder, socketName)
	if err := os.RemoveAll(socket); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	go func() {
		if err := server.Serve(listener); err != nil {
			log.Print(err)
		}
	}()
	return server, nil
}

// GetDevicePluginOptions says that the kubelet need not ask before containers start.
func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch names the devices once; they never change.
func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	if err := stream.Send(&api.ListAndWatchResponse{Devices: p.devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// Allocate gives each container the variable by which NVIDIA's plugin hands over devices.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		environment := map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")}
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{Envs: environment})
	}
	return response, nil
}
