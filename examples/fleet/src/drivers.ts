import { kafka } from "@micro-es/kafka";
import { nats } from "@micro-es/nats";
import { nsq } from "@micro-es/nsq";
import { pubsub } from "@micro-es/pubsub";
import { rabbitmq } from "@micro-es/rabbitmq";
import { redis } from "@micro-es/redis";
import type { Driver } from "@micro-es/runtime";

/** What the URLs of the fleet's variables may name. A project lists only those that it uses. */
export const drivers: readonly Driver[] = [nats, rabbitmq, kafka, redis, pubsub, nsq];
