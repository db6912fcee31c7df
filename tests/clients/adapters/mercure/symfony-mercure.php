<?php
// symfony/mercure, as Debian packages it (php-symfony-mercure): publishes what it is given, and prints the id.

use Symfony\Component\Mercure\Hub;
use Symfony\Component\Mercure\Jwt\StaticTokenProvider;
use Symfony\Component\Mercure\Update;

require 'Symfony/Component/Mercure/autoload.php';

[, $url, $jwt, $given] = $argv;
$update = json_decode($given, true, flags: JSON_THROW_ON_ERROR);
$hub = new Hub($url, new StaticTokenProvider($jwt));
echo $hub->publish(new Update(
    $update['topics'],
    $update['data'],
    $update['private'] ?? false,
    $update['id'] ?? null,
    $update['type'] ?? null,
    $update['retry'] ?? null,
)), "\n";
