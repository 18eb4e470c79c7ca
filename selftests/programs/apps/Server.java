// SPDX-License-Identifier: GPL-2.0
// An HTTP server of the class library on ADDRESS PORT, and an echo server with
// non-blocking channels on PORT + 1.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.util.concurrent.Executors;

public class Server {
	static void http(String address, int port) throws Exception {
		HttpServer server = HttpServer.create(new InetSocketAddress(address, port), 100);
		server.createContext("/echo", exchange -> {
			byte[] body = exchange.getRequestBody().readAllBytes();
			exchange.sendResponseHeaders(200, body.length);
			exchange.getResponseBody().write(body);
			exchange.close();
		});
		server.setExecutor(Executors.newFixedThreadPool(8));
		server.start();
	}

	/** What was read of a connection and not yet written back. */
	static boolean echo(SocketChannel channel, ByteBuffer buffer, SelectionKey key) throws Exception {
		int got = channel.read(buffer);
		buffer.flip();
		channel.write(buffer);
		buffer.compact();
		boolean left = buffer.position() > 0;
		boolean full = !buffer.hasRemaining();
		key.interestOps((left ? SelectionKey.OP_WRITE : 0) | (full ? 0 : SelectionKey.OP_READ));
		return got >= 0 || left;
	}

	public static void main(String[] words) throws Exception {
		int port = Integer.parseInt(words[1]);
		Selector selector = Selector.open();
		ServerSocketChannel listener = ServerSocketChannel.open();
		listener.bind(new InetSocketAddress(words[0], port + 1), 200);
		listener.configureBlocking(false);
		listener.register(selector, SelectionKey.OP_ACCEPT);
		http(words[0], port);
		while (true) {
			selector.select();
			for (SelectionKey key : selector.selectedKeys()) {
				if (key.isAcceptable()) {
					SocketChannel channel = listener.accept();
					channel.configureBlocking(false);
					channel.register(selector, SelectionKey.OP_READ, ByteBuffer.allocateDirect(65536));
				} else if (!echo((SocketChannel) key.channel(), (ByteBuffer) key.attachment(), key)) {
					key.channel().close();
				}
			}
			selector.selectedKeys().clear();
		}
	}
}
