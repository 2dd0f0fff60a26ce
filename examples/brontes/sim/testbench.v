`timescale 1ns / 1ps
`default_nettype none
// Runs the firmware and looks only at the pins: every byte that the UART sends must be the one
// expected, with its start and stop bits where they belong; bytes sent in must come back in upper
// case; the LEDs must count them; trap must come at the end and not before.
module testbench;
  localparam DIV = 8;
  localparam BIT = DIV * 83.333;
  localparam EXPECT = {
    "brontes rv32im\n", "selftest ok\n", "primes 2 3 5 7 11 13 17 19 23 29 31 37 41 43 47\n",
    "20! 21c3677c82b40000\n", "> "
  };
  localparam LENGTH = $bits(EXPECT) / 8;

  reg clk = 0, rstn = 0, rx = 1;
  wire tx;
  wire [3:0] led;
  always #41.6665 clk = !clk;
  brontes #(.DIV(DIV)) dut (.clk(clk), .rstn(rstn), .rx(rx), .tx(tx), .led(led));

  task fail(input [8*40-1:0] what);
    begin
      $display("\nFAIL at %0t: %0s", $time, what);
      $fatal(1);
    end
  endtask

  reg [7:0] heard;
  integer bit_number;
  task hear;
    begin
      @(negedge tx) #(BIT / 2) if (tx !== 0) fail("no start bit");
      for (bit_number = 0; bit_number < 8; bit_number = bit_number + 1) #BIT heard[bit_number] = tx;
      #BIT if (tx !== 1) fail("no stop bit");
      $write("%c", heard);
    end
  endtask

  // A sender whose clock is off by 3 per cent must be understood as well.
  task say(input [7:0] data, input real rate);
    integer n;
    begin
      rx = 0;
      for (n = 0; n < 8; n = n + 1) #(BIT / rate) rx = data[n];
      #(BIT / rate) rx = 1;
      #(BIT / rate);
    end
  endtask

  task echo(input [7:0] data, input real rate, input [7:0] back, input [2:0] leds);
    begin
      fork
        say(data, rate);
        hear;
      join
      if (heard !== back) fail("wrong echo");
      if (led !== {1'b0, leds}) fail("wrong LEDs after an echo");
    end
  endtask

  integer at;
  initial begin
    #1000 rstn = 1;
    for (at = LENGTH - 1; at >= 0; at = at - 1) begin
      hear;
      if (heard !== EXPECT[8*at+:8]) fail("wrong byte");
      if (led[3] !== 0) fail("trap");
    end
    echo("a", 1.00, "A", 1);
    echo("z", 0.97, "Z", 2);
    echo("!", 1.03, "!", 3);
    fork
      say(8'h04, 1.00);  // end of transmission: the firmware stops
      wait (led[3]);
    join
    $display("\nPASS after %0d bytes and %0d instructions", LENGTH + 3, dut.core.retired);
    $finish;
  end

  initial #200_000_000 fail("timed out");
endmodule
