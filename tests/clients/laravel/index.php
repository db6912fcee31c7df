<?php

// What a new Laravel application comes with, as far as the recipe needs it, on Debian's packages: without
// Composer. `php -S ADDRESS index.php` serves the application in the working directory.

require 'Illuminate/autoload.php';
require 'GuzzleHttp/autoload.php';

spl_autoload_register(function (string $class) {
    // Debian's own list leaves out the framework's foundation.
    $places = ['App\\' => __DIR__ . '/app/', 'Illuminate\\' => '/usr/share/php/Illuminate/'];
    foreach ($places as $namespace => $place) {
        $file = $place . str_replace('\\', '/', substr($class, strlen($namespace))) . '.php';
        if (str_starts_with($class, $namespace) && is_file($file)) {
            require $file;
        }
    }
});

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\Facades\Schema;

foreach (['bootstrap/cache', 'storage/logs'] as $directory) {
    is_dir($directory) || mkdir($directory, recursive: true);
}
touch('db.sqlite3');

$app = new Illuminate\Foundation\Application(__DIR__);
$app->singleton(Kernel::class, Illuminate\Foundation\Http\Kernel::class);
$app->singleton(ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);
if (is_file('config/broadcasting.php')) {
    $app->register(Illuminate\Bus\BusServiceProvider::class);
    $app->register(Illuminate\Broadcasting\BroadcastServiceProvider::class);
    $app->register(App\Providers\BroadcastServiceProvider::class);
}
$app->booted(function () {
    Route::prefix('api')->group(base_path('routes/api.php'));
    if (!Schema::hasTable('orders')) {
        Schema::create('orders', function ($table) {
            $table->id();
            $table->boolean('shipped')->default(false);
            $table->timestamps();
        });
        class_exists(App\Models\Order::class) && App\Models\Order::forceCreate(['id' => 7]);
    }
});
$app->make(Kernel::class)->handle(Illuminate\Http\Request::capture())->send();
