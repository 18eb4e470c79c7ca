// SPDX-License-Identifier: GPL-2.0
// Usage: Client ADDRESS PORT http|sockets|channel COUNT
//   http      COUNT requests by java.net.http, many at a time
//   sockets   COUNT java.net.Sockets in threads, to the echo server
//   channel   COUNT bytes there and back over one blocking channel
import java.net.*;
import java.net.http.*;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.*;
import java.util.concurrent.*;

public class Client {
	static void check(boolean good, String what) {
		if (!good)
			throw new IllegalStateException(what);
	}

	static void http(String address, int port, int count) throws Exception {
		HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
		URI uri = URI.create("http://" + address + ":" + port + "/echo");
		List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
		for (int i = 0; i < count; i++) {
			HttpRequest request = HttpRequest.newBuilder(uri)
				.POST(HttpRequest.BodyPublishers.ofString("request " + i)).build();
			answers.add(client.sendAsync(request, HttpResponse.BodyHandlers.ofString()));
			if (i % 16 == 15)
				answers.get(i).join();
		}
		for (int i = 0; i < count; i++)
			check(answers.get(i).get().body().equals("request " + i), "body of request " + i);
	}

	static byte[] bytes(int length, long seed) {
		byte[] data = new byte[length];
		new Random(seed).nextBytes(data);
		return data;
	}

	static void socket(String address, int port, int seed) throws Exception {
		try (Socket socket = new Socket()) {
			socket.setTcpNoDelay(true);
			socket.setKeepAlive(true);
			socket.setSoTimeout(60000);
			socket.connect(new InetSocketAddress(address, port), 60000);
			byte[] data = bytes(30000, seed);
			socket.getOutputStream().write(data);
			socket.shutdownOutput();
			byte[] back = socket.getInputStream().readAllBytes();
			check(Arrays.equals(data, back), back.length + " bytes back in socket " + seed);
		}
	}

	static void sockets(String address, int port, int count) throws Exception {
		ExecutorService threads = Executors.newFixedThreadPool(16);
		List<Future<Void>> ends = new ArrayList<>();
		for (int i = 0; i < count; i++) {
			int seed = i;
			ends.add(threads.submit(() -> {
				socket(address, port, seed);
				return null;
			}));
		}
		for (Future<Void> end : ends)
			end.get();
		threads.shutdown();
	}

	static void channel(String address, int port, int count) throws Exception {
		byte[] data = bytes(count, 1);
		try (SocketChannel channel = SocketChannel.open(new InetSocketAddress(address, port))) {
			channel.setOption(StandardSocketOptions.SO_SNDBUF, 1 << 18);
			Thread writer = new Thread(() -> {
				try {
					ByteBuffer left = ByteBuffer.wrap(data);
					while (left.hasRemaining())
						channel.write(left);
					channel.shutdownOutput();
				} catch (java.io.IOException error) {
					error.printStackTrace();
				}
			});
			writer.start();
			ByteBuffer back = ByteBuffer.allocate(count + 1);
			while (channel.read(back) >= 0)
				;
			writer.join();
			check(Arrays.equals(data, Arrays.copyOf(back.array(), back.position())),
			      back.position() + " bytes back of " + count);
		}
	}

	public static void main(String[] words) throws Exception {
		int port = Integer.parseInt(words[1]);
		int count = Integer.parseInt(words[3]);
		switch (words[2]) {
		case "http" -> http(words[0], port, count);
		case "sockets" -> sockets(words[0], port + 1, count);
		case "channel" -> channel(words[0], port + 1, count);
		}
		System.out.println("done");
	}
}
